// What the rule does before the walk over a chunk, all invocations together: its own `begin_rule`.

fn begun(chunk: vec4u, lane: u32) { begin_rule(chunk, control.tensors[chunk.x], lane); }
