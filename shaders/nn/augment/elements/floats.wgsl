// Images of floats. Depends on `samples` and SOURCE_QUADS.
alias Element = f32;
alias Quad = vec4f;

fn element(sample: u32, index: u32) -> f32 {
  return samples[sample * SOURCE_QUADS * 4u + index];
}

fn quad_of(values: vec4f) -> vec4f {
  return values;
}
