// Where lines have an even number of pixels, two are stored at once.
@group(0) @binding(2) var<storage, read_write> result: array<vec2f>;           // [ROWS, TARGET_STRIDE / 2]

// 4 neighbouring pixels from column x on, as far as the line goes.
fn store_pixels(at: u32, x: u32, sums: vec4f) {
  let v = finished(sums, at);
  result[at / 2u] = v.xy;
  if (x + 2u < TARGET_WIDTH) { result[at / 2u + 1u] = v.zw; }
}

fn clear_padding(row: u32, begin: u32) {
  for (var i = begin; i < TARGET_STRIDE; i += 2u) { result[(row * TARGET_STRIDE + i) / 2u] = vec2f(); }
}
