// Adds the bias of a channel; with RELU max(y, 0). By comparison and not by max(): max(NaN, 0) is 0.
override RELU: bool = false;

@group(0) @binding(3) var<storage, read> bias: array<f32>;                     // b [target channels]

fn finished(value: f32, channel: u32, at: u32) -> f32 {
  let y = value + bias[channel];
  return select(y, 0.0, RELU & (y < 0.0));
}
