// A ReLU follows: dy is the gradient of its output `masking` and becomes the gradient before it.
@group(0) @binding(8) var<storage, read> masking: array<f32>;                  // [ROWS, STRIDE]

fn masked(gradient: f32, at: u32) -> f32 {
  return select(gradient, 0.0, masking[at] <= 0.0);
}
