// max(x, 0), by comparison: max(NaN, 0) is 0.
fn activate(x: vec4f) -> vec4f {
  return select(x, vec4f(), x < vec4f());
}

fn slope(x: vec4f) -> vec4f {
  return select(vec4f(1.0), vec4f(), x <= vec4f());
}
