// A result with rows of any length: a row may begin between two quads. Depends on `result` and `product`.
alias StoredElement = f32;

// Stores elements `col` to `col + 3` of a row, as far as it goes.
fn store_quad(at: u32, row: u32, col: u32, value: vec4f) {
  for (var i = 0u; i < min(4u, product.cols - col); i++) {
    result[at + row * product.result_stride + col + i] = value[i];
  }
}
