// The rule sees theta as update and decay have left it: its own `finish_rule`.

fn finished(at: u32, theta: Lane) { finish_rule(at, theta); }
