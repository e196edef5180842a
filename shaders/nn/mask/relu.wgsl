// The gradient is that of `masking`, the output of a ReLU: it becomes the gradient before it.
@group(0) @binding(2) var<storage, read> masking: array<f32>;                  // [ROWS, STRIDE]

fn masked(gradient: f32, at: u32) -> f32 {
  return select(gradient, 0.0, masking[at] <= 0.0);
}
