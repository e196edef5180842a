// Matrices with rows of any length, as if each row were filled up with zeros to whole quads. Depends on `source` and `matrices`.
alias SourceElement = f32;

// Quad q of the matrix that begins at element `at`.
fn source_quad(at: u32, q: u32) -> vec4f {
  let row_quads = (matrices.cols + 3u) / 4u;
  let row = at + q / row_quads * matrices.cols;
  let i = vec4u(q % row_quads * 4u) + vec4u(0u, 1u, 2u, 3u);
  let element = row + min(i, vec4u(matrices.cols - 1u));
  return select(vec4f(), vec4f(source[element.x], source[element.y], source[element.z], source[element.w]), i < vec4u(matrices.cols));
}
