// Before the walk over a chunk all invocations of the workgroup run the rule's own `open_rule`.

fn opening(chunk: vec4u, lane: u32) { open_rule(chunk, control.tensors[chunk.x], lane); }
fn finished(at: u32, theta: Lane) {}
