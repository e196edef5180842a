// Matrices with rows of any length, as if each row were filled up with zeros to whole quads. Depends on `source` and `matrices`.
alias SourceElement = f32;

// Quad q of a row of the matrix that begins at element `at`.
fn source_quad(at: u32, row: u32, q: u32) -> vec4f {
  let i = vec4u(4u * q) + vec4u(0u, 1u, 2u, 3u);
  let element = at + row * matrices.cols + min(i, vec4u(matrices.cols - 1u));
  let value = vec4f(source[element.x], source[element.y], source[element.z], source[element.w]);
  return select(vec4f(), value, i < vec4u(matrices.cols));
}
