// The logistic function, 1 / (1 + exp(-x)).
fn activate(x: vec4f) -> vec4f {
  return 1.0 / (1.0 + exp(-clamp(x, vec4f(-80.0), vec4f(80.0))));
}

fn slope(x: vec4f) -> vec4f {
  let s = activate(x);
  return s * (1.0 - s);
}
