// The rule does nothing before the walk over a chunk.

fn opening(chunk: vec4u, lane: u32) {}
