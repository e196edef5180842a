// The normalization has a bias.
@group(0) @binding(4) var<storage, read> bias: array<f32>;                     // b [WEIGHTS]

fn bias_of(weight: u32) -> f32 {
  return bias[weight];
}
