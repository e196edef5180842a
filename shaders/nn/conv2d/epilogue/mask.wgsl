// The result is a gradient of `masking`, the output of a ReLU: it becomes the gradient before it.
@group(0) @binding(3) var<storage, read> masking: array<f32>;                  // [ROWS, TARGET_STRIDE]

fn beginning(channel: u32) -> f32 {
  return 0.0;
}

// Of pixels that are not stored the mask is read elsewhere.
fn finished(gradient: vec4f, at: u32) -> vec4f {
  let mask = vec4f(
    masking[at], masking[at + PIXEL_STEP], masking[at + 2u * PIXEL_STEP], masking[at + 3u * PIXEL_STEP]);
  return select(gradient, vec4f(), mask <= vec4f());
}
