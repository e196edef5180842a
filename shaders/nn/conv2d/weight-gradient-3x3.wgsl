// 3 x 3 convolution, backward to its weights. One invocation sums, over its share of the rows (samples), the 9 taps of 4 output
// channels (or of one, where groups have one) and 1 input channel:
//   dW[o, c, i, j] = sum over samples, v, u of dy[o, v, u] x[c, v stride + i dilation - p, u stride + j dilation - p]
// It walks down columns 4 pixels wide and keeps the lines of x that meet the next line of dy too.
// The shares are summed by weight-gradient-sum.wgsl. Layouts as in torch.nn.Conv2d; o and c count within a group.

#import nn/conv2d/shares
#import nn/conv2d/lines

override CHANNEL_TILES = (OUT_CHANNELS + 3u) / 4u;
// Whether a tile has more than one output channel.
override DEEP = OUT_CHANNELS > 1u;

@compute @workgroup_size(WORKGROUP_SIZE)
fn conv2d_3x3_weight_gradient(@builtin(global_invocation_id) id: vec3u) {
  var rest = flat_index(id);
  let c = rest % SOURCE_CHANNELS;
  rest /= SOURCE_CHANNELS;
  let channel_tile = rest % CHANNEL_TILES;
  rest /= CHANNEL_TILES;
  let group = rest % GROUPS;
  let share = rest / GROUPS;
  if (share >= bounded(SHARES)) { return; }
  let channel = group * OUT_CHANNELS + 4u * channel_tile;
  let channels = min(4u, OUT_CHANNELS - 4u * channel_tile);
  // Of a tile that is not full the last channel stands for those that do not exist.
  let planes = min(vec4u(0u, 1u, 2u, 3u), vec4u(channels - 1u)) * OUT_PLANE;

  var w0 = mat3x3f(); var w1 = mat3x3f(); var w2 = mat3x3f(); var w3 = mat3x3f();
  var b = vec4f();
  for (var row = share * SHARE_ROWS; row < min(ROWS, (share + 1u) * SHARE_ROWS); row++) {
    let in_plane = row * SOURCE_STRIDE + (group * SOURCE_CHANNELS + c) * SOURCE_PLANE;
    for (var x = 0u; x < OUT_WIDTH; x += 4u) {
      let taken = taken_from(i32(x) * STRIDE_X - PAD_X);
      let outs = vec4u(x) + vec4u(0u, 1u, 2u, 3u);
      let pixels = min(outs, vec4u(OUT_WIDTH - 1u));
      let exist = outs < vec4u(OUT_WIDTH);
      var at = vec4u(row * OUT_STRIDE + channel * OUT_PLANE) + planes;
      var top = -PAD_Y;
      var lines = lines_before(in_plane, top, taken);
      for (var y = 0u; y < OUT_HEIGHT; y++) {
        lines = lines_after(lines, in_plane, top, taken);
        let d0 = gradients(at.x, pixels, exist);
        w0 += taps(d0, lines);
        b.x += total(d0);
        if (DEEP) {
          let d1 = gradients(at.y, pixels, exist);
          let d2 = gradients(at.z, pixels, exist);
          let d3 = gradients(at.w, pixels, exist);
          w1 += taps(d1, lines);
          w2 += taps(d2, lines);
          w3 += taps(d3, lines);
          b += vec4f(0.0, total(d1), total(d2), total(d3));
        }
        top += STRIDE_Y;
        at += vec4u(OUT_WIDTH);
      }
    }
  }

  let begin = share * (WEIGHTS + GROUPS * OUT_CHANNELS);
  let at = begin + (channel * SOURCE_CHANNELS + c) * 9u;
  store(at, w0);
  if (channels > 1u) { store(at + SOURCE_CHANNELS * 9u, w1); }
  if (channels > 2u) { store(at + 2u * SOURCE_CHANNELS * 9u, w2); }
  if (channels > 3u) { store(at + 3u * SOURCE_CHANNELS * 9u, w3); }
  if (c == 0u) {
    for (var o = 0u; o < channels; o++) { sums[begin + WEIGHTS + channel + o] = b[o]; }
  }
}

fn gradients(at: u32, pixels: vec4u, exist: vec4<bool>) -> vec4f {
  let d = vec4f(output_gradient[at + pixels.x], output_gradient[at + pixels.y],
                output_gradient[at + pixels.z], output_gradient[at + pixels.w]);
  return select(vec4f(), d, exist);
}

fn taps(d: vec4f, l: Lines) -> mat3x3f {
  return mat3x3f(
    dot(d, l.upper.left), dot(d, l.upper.middle), dot(d, l.upper.right),
    dot(d, l.middle.left), dot(d, l.middle.middle), dot(d, l.middle.right),
    dot(d, l.lower.left), dot(d, l.lower.middle), dot(d, l.lower.right));
}

fn total(d: vec4f) -> f32 {
  return (d.x + d.y) + (d.z + d.w);
}

fn store(at: u32, w: mat3x3f) {
  sums[at] = w[0].x; sums[at + 1u] = w[0].y; sums[at + 2u] = w[0].z;
  sums[at + 3u] = w[1].x; sums[at + 4u] = w[1].y; sums[at + 5u] = w[1].z;
  sums[at + 6u] = w[2].x; sums[at + 7u] = w[2].y; sums[at + 8u] = w[2].z;
}
