// The rule has no business with what becomes of theta.

fn finished(at: u32, theta: Lane) {}
