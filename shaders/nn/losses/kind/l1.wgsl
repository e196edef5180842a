// L1: |x - t|. The slope of 0 is 0; that of NaN is NaN.
fn loss_of(x: f32, t: f32) -> f32 {
  return abs(x - t);
}

fn slope_of(x: f32, t: f32) -> f32 {
  let d = x - t;
  return select(select(d, 1.0, d > 0.0), -1.0, d < 0.0);
}
