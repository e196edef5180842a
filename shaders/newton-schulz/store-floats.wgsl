// A result with rows of any length: a row may begin between two quads. Depends on `result` and `product`.
alias StoredElement = f32;

fn store_quad(result_at: u32, row: u32, quad: u32, value: vec4f) {
  for (var i = 0u; i < min(4u, product.cols - 4u * quad); i++) {
    result[result_at + row * product.result_stride + 4u * quad + i] = value[i];
  }
}
