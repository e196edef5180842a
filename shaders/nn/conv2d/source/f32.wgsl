// What is convolved, as floats.
@group(0) @binding(0) var<storage, read> source: array<f32>;                   // [ROWS, SOURCE_STRIDE]

fn source_at(at: u32) -> f32 {
  return source[at];
}
