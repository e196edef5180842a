// The rule does nothing before the walk over a chunk, and has no business with what becomes of theta.

fn opening(chunk: vec4u, lane: u32) {}
fn finished(at: u32, theta: Lane) {}
