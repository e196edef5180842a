// x P(N(0, 1) < x) = x (1 + erf(x / sqrt 2)) / 2. Hendrycks, Gimpel: Gaussian Error Linear Units (2016).
// erf by Abramowitz, Stegun 7.1.26, whose error is at most 1.5e-7.
// P(N(0, 1) < x)
fn normal_below(x: vec4f) -> vec4f {
  let z = abs(x) * 0.70710678;
  let t = 1.0 / (1.0 + 0.3275911 * z);
  let polynomial = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  let above = 0.5 * polynomial * exp(-z * z);
  return select(1.0 - above, above, x < vec4f());
}

fn activate(x: vec4f) -> vec4f {
  return x * normal_below(x);
}

fn slope(x: vec4f) -> vec4f {
  return normal_below(x) + x * (0.39894228 * exp(-0.5 * x * x));
}
