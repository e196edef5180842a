// No bias; with RELU max(y, 0). By comparison and not by max(): max(NaN, 0) is 0.
override RELU: bool = false;

fn finished(value: f32, channel: u32, at: u32) -> f32 {
  return select(value, 0.0, RELU & (value < 0.0));
}
