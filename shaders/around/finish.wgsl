// The rule sees theta as update and decay have left it: its own `finish_rule`.

fn opening(chunk: vec4u, lane: u32) {}
fn finished(at: u32, theta: Lane) { finish_rule(at, theta); }
