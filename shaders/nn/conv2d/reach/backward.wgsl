// A convolution backward to its input, or a transposed one forward: the pixel v is made from (v + padding - tap dilation) / stride,
// where that is whole. Negative numbers become large ones; multiples of the stride are found before that.

// Weights from a channel of the target, and of the source, to the next.
override TARGET_STEP = TAPS;
override SOURCE_STEP = TARGET_CHANNELS * TAPS;

fn reached(v: vec4i, tap: i32, stride: i32, dilation: i32, padding: i32, size: u32) -> Reached {
  let far = v + padding - tap * dilation;
  let at = far / stride;
  return Reached(
    vec4u(clamp(at, vec4i(0), vec4i(i32(size) - 1))), (at * stride == far) & (vec4u(at) < vec4u(size)));
}
