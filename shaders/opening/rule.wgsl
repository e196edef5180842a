// What the rule does before the walk over a chunk, all invocations together: its own `open_rule`.

fn opening(chunk: vec4u, lane: u32) { open_rule(chunk, control.tensors[chunk.x], lane); }
