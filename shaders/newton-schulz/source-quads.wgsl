// Matrices whose rows are a whole number of quads. Depends on `source` and `matrices`.
alias SourceElement = vec4f;

// Quad q of a row of the matrix that begins at element `at`.
fn source_quad(at: u32, row: u32, q: u32) -> vec4f {
  return source[at / 4u + row * (matrices.cols / 4u) + q];
}
