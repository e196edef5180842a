// Mean squared error: (x - t)^2
fn loss_of(x: f32, t: f32) -> f32 {
  return (x - t) * (x - t);
}

fn slope_of(x: f32, t: f32) -> f32 {
  return 2.0 * (x - t);
}
