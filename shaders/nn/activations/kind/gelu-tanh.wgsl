// x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2, PyTorch's GELU with approximate="tanh".
fn inside(x: vec4f) -> vec4f {
  return clamp(0.79788456 * (x + 0.044715 * x * x * x), vec4f(-15.0), vec4f(15.0));
}

fn activate(x: vec4f) -> vec4f {
  return 0.5 * x * (1.0 + tanh(inside(x)));
}

fn slope(x: vec4f) -> vec4f {
  let t = tanh(inside(x));
  return 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * (0.79788456 * (1.0 + 0.134145 * x * x));
}
