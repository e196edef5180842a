// Where lines have an odd number of pixels, or those of a tile are not neighbours, each is stored on its own.
@group(0) @binding(2) var<storage, read_write> result: array<f32>;             // [ROWS, TARGET_STRIDE]

// 4 pixels from column x on, as far as the line goes.
fn store_pixels(at: u32, x: u32, sums: vec4f) {
  let v = finished(sums, at);
  result[at] = v.x;
  if (x + PIXEL_STEP < TARGET_WIDTH) { result[at + PIXEL_STEP] = v.y; }
  if (x + 2u * PIXEL_STEP < TARGET_WIDTH) { result[at + 2u * PIXEL_STEP] = v.z; }
  if (x + 3u * PIXEL_STEP < TARGET_WIDTH) { result[at + 3u * PIXEL_STEP] = v.w; }
}

fn clear_padding(row: u32, begin: u32) {
  for (var i = begin; i < TARGET_STRIDE; i++) { result[row * TARGET_STRIDE + i] = 0.0; }
}
