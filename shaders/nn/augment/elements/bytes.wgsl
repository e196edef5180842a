// Images of bytes, four in a word; a byte stands for byte / 255. Depends on `samples` and SOURCE_QUADS.
alias Element = u32;
alias Quad = u32;

fn element(sample: u32, index: u32) -> f32 {
  return f32(extractBits(samples[sample * SOURCE_QUADS + index / 4u], 8u * (index % 4u), 8u)) / 255.0;
}

// Rounded to the nearest byte, what is outside to the first and the last.
fn quad_of(values: vec4f) -> u32 {
  return pack4x8unorm(values);
}
