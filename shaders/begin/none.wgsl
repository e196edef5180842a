// The rule does nothing before the walk over a chunk.

fn begun(chunk: vec4u, lane: u32) {}
