// Sums begin with the bias of their channel; with RELU they end as max(y, 0). By comparison and not by max(): max(NaN, 0) is 0.
override RELU: bool = false;

@group(0) @binding(3) var<storage, read> bias: array<f32>;                     // b [target channels]

fn beginning(channel: u32) -> f32 {
  return bias[channel];
}

fn finished(y: vec4f, at: u32) -> vec4f {
  return select(y, vec4f(), vec4<bool>(RELU) & (y < vec4f()));
}
