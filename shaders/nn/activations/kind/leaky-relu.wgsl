// x where x > 0, else SLOPE x.
override SLOPE: f32 = 0.01;

fn activate(x: vec4f) -> vec4f {
  return select(x, SLOPE * x, x < vec4f());
}

fn slope(x: vec4f) -> vec4f {
  return select(vec4f(1.0), vec4f(SLOPE), x <= vec4f());
}
