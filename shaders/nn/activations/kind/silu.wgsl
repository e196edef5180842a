// SiLU, also called swish: x / (1 + exp(-x)).
fn sigmoid(x: vec4f) -> vec4f {
  return 1.0 / (1.0 + exp(-clamp(x, vec4f(-80.0), vec4f(80.0))));
}

fn activate(x: vec4f) -> vec4f {
  return x * sigmoid(x);
}

fn slope(x: vec4f) -> vec4f {
  let s = sigmoid(x);
  return s * (1.0 + x * (1.0 - s));
}
