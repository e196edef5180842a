// Where lines have a whole number of quads of pixels, four are stored at once, and no row has padding.
@group(0) @binding(2) var<storage, read_write> result: array<vec4f>;           // [ROWS, TARGET_STRIDE / 4]

// 4 neighbouring pixels.
fn store_pixels(at: u32, x: u32, sums: vec4f) {
  result[at / 4u] = finished(sums, at);
}

fn clear_padding(row: u32, begin: u32) {}
