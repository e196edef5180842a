// Rows of weights of any length: a row may begin between two quads. Zero behind the last input. Depends on `weight` and IN.
alias WeightElement = f32;

// Where a row begins, for weight_quad.
fn weight_row(row: u32) -> u32 {
  return row * IN;
}

fn weight_quad(begin: u32, quad: u32) -> vec4f {
  let i = vec4u(4u * quad) + vec4u(0u, 1u, 2u, 3u);
  let at = begin + min(i, vec4u(IN - 1u));
  return select(vec4f(), vec4f(weight[at.x], weight[at.y], weight[at.z], weight[at.w]), i < vec4u(IN));
}
