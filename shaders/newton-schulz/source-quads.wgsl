// Matrices whose rows are a whole number of quads. Depends on `source`.
alias SourceElement = vec4f;

// Quad q of the matrix that begins at element `at`.
fn source_quad(at: u32, q: u32) -> vec4f {
  return source[at / 4u + q];
}
