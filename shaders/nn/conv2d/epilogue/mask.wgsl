// The result is a gradient of `masking`, the output of a ReLU: it becomes the gradient before it.
@group(0) @binding(3) var<storage, read> masking: array<f32>;                  // [ROWS, TARGET_STRIDE]

fn finished(value: f32, channel: u32, at: u32) -> f32 {
  return select(value, 0.0, masking[at] <= 0.0);
}
