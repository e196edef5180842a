// Where lines have an odd number of pixels, each is stored on its own.
@group(0) @binding(2) var<storage, read_write> result: array<f32>;             // [ROWS, TARGET_STRIDE]

// 4 neighbouring pixels from column x on, as far as the line goes.
fn store_pixels(at: u32, x: u32, sums: vec4f) {
  let v = finished(sums, at);
  result[at] = v.x;
  if (x + 1u < TARGET_WIDTH) { result[at + 1u] = v.y; }
  if (x + 2u < TARGET_WIDTH) { result[at + 2u] = v.z; }
  if (x + 3u < TARGET_WIDTH) { result[at + 3u] = v.w; }
}

fn clear_padding(row: u32, begin: u32) {
  for (var i = begin; i < TARGET_STRIDE; i++) { result[row * TARGET_STRIDE + i] = 0.0; }
}
