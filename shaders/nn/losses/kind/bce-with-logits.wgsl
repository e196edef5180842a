// Binary cross-entropy of sigmoid(x): max(x, 0) - x t + log(1 + exp(-|x|)), which neither overflows nor takes log 0.
fn loss_of(x: f32, t: f32) -> f32 {
  return select(x, 0.0, x < 0.0) - x * t + log(1.0 + exp(-abs(x)));
}

fn slope_of(x: f32, t: f32) -> f32 {
  let e = exp(-abs(x));
  return select(1.0, e, x < 0.0) / (1.0 + e) - t;
}
