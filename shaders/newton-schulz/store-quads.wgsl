// A result whose rows are a whole number of quads. Depends on `result` and `product`.
alias StoredElement = vec4f;

// Stores elements `col` to `col + 3` of a row, `col` a multiple of 4.
fn store_quad(at: u32, row: u32, col: u32, value: vec4f) {
  result[at / 4u + row * product.result_stride + col / 4u] = value;
}
