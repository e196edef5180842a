// Convolution of any kernel, stride, padding, dilation and groups, backward to its weights. One invocation sums, over its share of
// the rows (samples), one tap of 4 output channels and 4 input channels:
//   dW[o, c, i, j] = sum over samples, v, u of dy[o, v, u] x[c, v stride + i dilation - p, u stride + j dilation - p]
// The shares are summed by weight-gradient-sum.wgsl. Layouts as in torch.nn.Conv2d; o and c count within a group.

#import nn/conv2d/shares

override KERNEL_Y: u32;
override KERNEL_X: u32;
override STRIDE_Y: u32;
override STRIDE_X: u32;
override DILATION_Y: u32;
override DILATION_X: u32;
override SOURCE_TILES = (SOURCE_CHANNELS + 3u) / 4u;
override OUT_TILES = (OUT_CHANNELS + 3u) / 4u;
override TAPS = KERNEL_Y * KERNEL_X;

@compute @workgroup_size(WORKGROUP_SIZE)
fn conv2d_weight_gradient(@builtin(global_invocation_id) id: vec3u) {
  var rest = flat_index(id);
  let tap = rest % TAPS;
  rest /= TAPS;
  let c = 4u * (rest % SOURCE_TILES);
  rest /= SOURCE_TILES;
  let o = 4u * (rest % OUT_TILES);
  rest /= OUT_TILES;
  let group = rest % GROUPS;
  let share = rest / GROUPS;
  if (share >= SHARES) { return; }
  let outs = min(4u, OUT_CHANNELS - o);
  let ins = min(4u, SOURCE_CHANNELS - c);
  // Of a tile that is not full the last channel stands for those that do not exist.
  let out_planes = (group * OUT_CHANNELS + o + min(vec4u(0u, 1u, 2u, 3u), vec4u(outs - 1u))) * OUT_PLANE;
  let in_planes = (group * SOURCE_CHANNELS + c + min(vec4u(0u, 1u, 2u, 3u), vec4u(ins - 1u))) * SOURCE_PLANE;
  let first_line = i32(tap / KERNEL_X * DILATION_Y) - PAD_Y;
  let first_column = i32(tap % KERNEL_X * DILATION_X) - PAD_X;

  // A column for each input channel, of 4 output channels.
  var w = mat4x4f();
  var b = vec4f();
  for (var row = share * SHARE_ROWS; row < min(ROWS, (share + 1u) * SHARE_ROWS); row++) {
    for (var y = 0u; y < OUT_HEIGHT; y++) {
      let line = i32(y * STRIDE_Y) + first_line;
      let exists = u32(line) < SOURCE_HEIGHT;
      let in_line = vec4u(row * SOURCE_STRIDE + u32(clamp(line, 0, i32(SOURCE_HEIGHT) - 1)) * SOURCE_WIDTH) + in_planes;
      let out_line = vec4u(row * OUT_STRIDE + y * OUT_WIDTH) + out_planes;
      for (var x = 0u; x < OUT_WIDTH; x++) {
        let column = i32(x * STRIDE_X) + first_column;
        let at = in_line + vec4u(u32(clamp(column, 0, i32(SOURCE_WIDTH) - 1)));
        let inside = vec4<bool>(exists & (u32(column) < SOURCE_WIDTH));
        let value = select(
          vec4f(), vec4f(source_at(at.x), source_at(at.y), source_at(at.z), source_at(at.w)), inside);
        let d = vec4f(output_gradient[out_line.x + x], output_gradient[out_line.y + x],
                      output_gradient[out_line.z + x], output_gradient[out_line.w + x]);
        w += mat4x4f(value.x * d, value.y * d, value.z * d, value.w * d);
        b += d;
      }
    }
  }

  let begin = share * (WEIGHTS + GROUPS * OUT_CHANNELS);
  for (var m = 0u; m < outs; m++) {
    let channel = group * OUT_CHANNELS + o + m;
    for (var k = 0u; k < ins; k++) { sums[begin + (channel * SOURCE_CHANNELS + c + k) * TAPS + tap] = w[k][m]; }
    if (tap + c == 0u) { sums[begin + WEIGHTS + channel] = b[m]; }
  }
}
