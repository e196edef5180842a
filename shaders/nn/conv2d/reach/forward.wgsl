// A convolution forward, or a transposed one backward to its input: the pixel v is made from v stride + tap dilation - padding.

// Weights from a channel of the target, and of the source, to the next.
override TARGET_STEP = SOURCE_CHANNELS * TAPS;
override SOURCE_STEP = TAPS;

fn reached(v: vec4i, tap: i32, stride: i32, dilation: i32, padding: i32, size: u32) -> Reached {
  let at = v * stride + tap * dilation - padding;
  return Reached(vec4u(clamp(at, vec4i(0), vec4i(i32(size) - 1))), vec4u(at) < vec4u(size));
}

// Whether a tap reaches the pixel v, and those a stride further.
fn reaches(v: i32, tap: i32, stride: i32, dilation: i32, padding: i32) -> bool {
  return true;
}
