// Binary cross-entropy of sigmoid(x): max(x, 0) - x t + log(1 + exp(-|x|)), which neither overflows nor takes log 0.
fn loss_of(x: f32, t: f32) -> f32 {
  return select(x, 0.0, x < 0.0) - x * t + log(1.0 + exp(-abs(x)));
}

fn slope_of(x: f32, t: f32) -> f32 {
  let e = exp(-abs(x));
  // Not every exp() says of NaN that it is NaN.
  let is_nan = (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
  return select(select(1.0, e, x < 0.0) / (1.0 + e) - t, x, is_nan);
}
