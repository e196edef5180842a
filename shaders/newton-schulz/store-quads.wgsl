// A result whose rows are a whole number of quads. Depends on `result` and `product`.
alias StoredElement = vec4f;

fn store_quad(result_at: u32, row: u32, quad: u32, value: vec4f) {
  result[result_at / 4u + row * product.result_stride + quad] = value;
}
