// A convolution backward to its input, or a transposed one forward: the pixel v is made from (v + padding - tap dilation) / stride,
// where that is whole.

// Weights from a channel of the target, and of the source, to the next.
override TARGET_STEP = TAPS;
override SOURCE_STEP = TARGET_CHANNELS * TAPS;

fn reached(v: vec4i, tap: i32, stride: i32, dilation: i32, padding: i32, size: u32) -> Reached {
  let at = (v + padding - tap * dilation) / stride;
  // Rounded towards 0, what lies less than a stride before it would be it.
  return Reached(
    vec4u(clamp(at, vec4i(0), vec4i(i32(size) - 1))),
    (v + padding - tap * dilation >= vec4i(0)) & (vec4u(at) < vec4u(size)));
}

// Whether a tap reaches the pixel v, and those a stride further.
fn reaches(v: i32, tap: i32, stride: i32, dilation: i32, padding: i32) -> bool {
  return (v + padding - tap * dilation) % stride == 0;
}
