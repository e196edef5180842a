// Huber: d^2 / 2 where |d| <= DELTA, else DELTA (|d| - DELTA / 2), with d = x - t.
override DELTA: f32 = 1.0;

fn loss_of(x: f32, t: f32) -> f32 {
  let d = x - t;
  return select(0.5 * d * d, DELTA * (abs(d) - 0.5 * DELTA), abs(d) > DELTA);
}

fn slope_of(x: f32, t: f32) -> f32 {
  let d = x - t;
  return select(select(d, DELTA, d > DELTA), -DELTA, d < -DELTA);
}
