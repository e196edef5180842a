// Convolution of any kernel, stride, padding, dilation and groups, backward to its weights. One invocation sums, over its share of
// the rows (samples), one tap of 4 output channels and 4 input channels:
//   dW[o, c, i, j] = sum over samples, v, u of dy[o, v, u] x[c, v stride + i dilation - p, u stride + j dilation - p]
// The shares are summed by weight-gradient-sum.wgsl. Layouts as in torch.nn.Conv2d; o and c count within a group.
// Linked in: what x is (source/).

#import nn/lib/flat-index

override ROWS: u32;
override SHARES: u32;
override SHARE_ROWS: u32;                             // rows of a share
override GROUPS: u32;
override IN_CHANNELS: u32;                            // of a group
override IN_HEIGHT: u32;
override IN_WIDTH: u32;
override IN_STRIDE: u32;                              // floats of a row
override OUT_CHANNELS: u32;                           // of a group
override OUT_HEIGHT: u32;
override OUT_WIDTH: u32;
override OUT_STRIDE: u32;
override KERNEL_Y: u32;
override KERNEL_X: u32;
override STRIDE_Y: u32;
override STRIDE_X: u32;
override PAD_Y: i32;
override PAD_X: i32;
override DILATION_Y: u32;
override DILATION_X: u32;
override IN_TILES = (IN_CHANNELS + 3u) / 4u;
override OUT_TILES = (OUT_CHANNELS + 3u) / 4u;
override IN_PLANE = IN_HEIGHT * IN_WIDTH;
override OUT_PLANE = OUT_HEIGHT * OUT_WIDTH;
override TAPS = KERNEL_Y * KERNEL_X;
override WEIGHTS = GROUPS * OUT_CHANNELS * IN_CHANNELS * TAPS;

// binding 0: source/, x [ROWS, IN_STRIDE]
@group(0) @binding(1) var<storage, read> output_gradient: array<f32>;          // dy [ROWS, OUT_STRIDE]
@group(0) @binding(2) var<storage, read_write> sums: array<f32>;               // [SHARES, dW and then db]

#import source

@compute @workgroup_size(WORKGROUP_SIZE)
fn conv2d_weight_gradient(@builtin(global_invocation_id) id: vec3u) {
  var rest = flat_index(id);
  let tap = rest % TAPS;
  rest /= TAPS;
  let c = 4u * (rest % IN_TILES);
  rest /= IN_TILES;
  let o = 4u * (rest % OUT_TILES);
  rest /= OUT_TILES;
  let group = rest % GROUPS;
  let share = rest / GROUPS;
  if (share >= SHARES) { return; }
  let outs = min(4u, OUT_CHANNELS - o);
  let ins = min(4u, IN_CHANNELS - c);
  // Of a tile that is not full the last channel stands for those that do not exist.
  let out_planes = (group * OUT_CHANNELS + o + min(vec4u(0u, 1u, 2u, 3u), vec4u(outs - 1u))) * OUT_PLANE;
  let in_planes = (group * IN_CHANNELS + c + min(vec4u(0u, 1u, 2u, 3u), vec4u(ins - 1u))) * IN_PLANE;
  let first_line = i32(tap / KERNEL_X * DILATION_Y) - PAD_Y;
  let first_column = i32(tap % KERNEL_X * DILATION_X) - PAD_X;

  // A column for each input channel, of 4 output channels.
  var w = mat4x4f();
  var b = vec4f();
  for (var row = share * SHARE_ROWS; row < min(ROWS, (share + 1u) * SHARE_ROWS); row++) {
    for (var y = 0u; y < OUT_HEIGHT; y++) {
      let line = i32(y * STRIDE_Y) + first_line;
      let exists = u32(line) < IN_HEIGHT;
      let in_line = vec4u(row * IN_STRIDE + u32(clamp(line, 0, i32(IN_HEIGHT) - 1)) * IN_WIDTH) + in_planes;
      let out_line = vec4u(row * OUT_STRIDE + y * OUT_WIDTH) + out_planes;
      for (var x = 0u; x < OUT_WIDTH; x++) {
        let column = i32(x * STRIDE_X) + first_column;
        let at = in_line + vec4u(u32(clamp(column, 0, i32(IN_WIDTH) - 1)));
        let inside = vec4<bool>(exists & (u32(column) < IN_WIDTH));
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
    for (var k = 0u; k < ins; k++) { sums[begin + (channel * IN_CHANNELS + c + k) * TAPS + tap] = w[k][m]; }
    if (tap + c == 0u) { sums[begin + WEIGHTS + channel] = b[m]; }
  }
}
