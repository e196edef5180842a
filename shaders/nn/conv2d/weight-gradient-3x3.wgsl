// 3 x 3 convolution of stride and dilation 1, backward to its weights. One invocation sums, over its share of the rows (samples),
// the 9 taps of 4 output channels and 1 input channel:
//   dW[o, c, i, j] = sum over samples, v, u of dy[o, v, u] x[c, v + i - p, u + j - p]
// It walks down columns 4 pixels wide and keeps the three lines of x that meet a line of dy, so each value is read once a column.
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
override PAD_Y: i32;
override PAD_X: i32;
override CHANNEL_TILES = (OUT_CHANNELS + 3u) / 4u;
override IN_PLANE = IN_HEIGHT * IN_WIDTH;
override OUT_PLANE = OUT_HEIGHT * OUT_WIDTH;
override WEIGHTS = GROUPS * OUT_CHANNELS * IN_CHANNELS * 9u;

// binding 0: source/, x [ROWS, IN_STRIDE]
@group(0) @binding(1) var<storage, read> output_gradient: array<f32>;          // dy [ROWS, OUT_STRIDE]
@group(0) @binding(2) var<storage, read_write> sums: array<f32>;               // [SHARES, dW and then db]

#import source

struct Columns {
  at: vec4u,
  exist: vec4<bool>,
  far_at: vec2u,
  far_exist: vec2<bool>,
}

// A line of x as the three taps of a kernel's line see it, for 4 neighbouring pixels.
struct Line {
  left: vec4f,
  middle: vec4f,
  right: vec4f,
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn conv2d_3x3_weight_gradient(@builtin(global_invocation_id) id: vec3u) {
  var rest = flat_index(id);
  let c = rest % IN_CHANNELS;
  rest /= IN_CHANNELS;
  let channel_tile = rest % CHANNEL_TILES;
  rest /= CHANNEL_TILES;
  let group = rest % GROUPS;
  let share = rest / GROUPS;
  if (share >= SHARES) { return; }
  let channel = group * OUT_CHANNELS + 4u * channel_tile;
  let channels = min(4u, OUT_CHANNELS - 4u * channel_tile);
  // Of a tile that is not full the last channel stands for those that do not exist.
  let planes = min(vec4u(0u, 1u, 2u, 3u), vec4u(channels - 1u)) * OUT_PLANE;

  var w0 = mat3x3f(); var w1 = mat3x3f(); var w2 = mat3x3f(); var w3 = mat3x3f();
  var b = vec4f();
  for (var row = share * SHARE_ROWS; row < min(ROWS, (share + 1u) * SHARE_ROWS); row++) {
    let in_plane = row * IN_STRIDE + (group * IN_CHANNELS + c) * IN_PLANE;
    for (var x = 0u; x < OUT_WIDTH; x += 4u) {
      let near = vec4i(i32(x) - PAD_X) + vec4i(0, 1, 2, 3);
      let far = vec2i(i32(x) - PAD_X) + vec2i(4, 5);
      let last = i32(IN_WIDTH) - 1;
      let columns = Columns(
        vec4u(clamp(near, vec4i(0), vec4i(last))), vec4u(near) < vec4u(IN_WIDTH),
        vec2u(clamp(far, vec2i(0), vec2i(last))), vec2u(far) < vec2u(IN_WIDTH));
      let outs = vec4u(x) + vec4u(0u, 1u, 2u, 3u);
      let pixels = min(outs, vec4u(OUT_WIDTH - 1u));
      let exist = outs < vec4u(OUT_WIDTH);
      var at = vec4u(row * OUT_STRIDE + channel * OUT_PLANE) + planes;
      var above = line(in_plane, -PAD_Y, columns);
      var here = line(in_plane, 1 - PAD_Y, columns);
      for (var y = 0u; y < OUT_HEIGHT; y++) {
        let below = line(in_plane, i32(y) + 2 - PAD_Y, columns);
        let d0 = gradients(at.x, pixels, exist);
        let d1 = gradients(at.y, pixels, exist);
        let d2 = gradients(at.z, pixels, exist);
        let d3 = gradients(at.w, pixels, exist);
        w0 += taps(d0, above, here, below);
        w1 += taps(d1, above, here, below);
        w2 += taps(d2, above, here, below);
        w3 += taps(d3, above, here, below);
        b += vec4f(total(d0), total(d1), total(d2), total(d3));
        above = here;
        here = below;
        at += vec4u(OUT_WIDTH);
      }
    }
  }

  let begin = share * (WEIGHTS + GROUPS * OUT_CHANNELS);
  let at = begin + (channel * IN_CHANNELS + c) * 9u;
  store(at, w0);
  if (channels > 1u) { store(at + IN_CHANNELS * 9u, w1); }
  if (channels > 2u) { store(at + 2u * IN_CHANNELS * 9u, w2); }
  if (channels > 3u) { store(at + 3u * IN_CHANNELS * 9u, w3); }
  if (c == 0u) {
    for (var o = 0u; o < channels; o++) { sums[begin + WEIGHTS + channel + o] = b[o]; }
  }
}

fn line(plane: u32, y: i32, c: Columns) -> Line {
  let exists = u32(y) < IN_HEIGHT;
  let at = plane + u32(clamp(y, 0, i32(IN_HEIGHT) - 1)) * IN_WIDTH;
  let near = select(
    vec4f(),
    vec4f(source_at(at + c.at.x), source_at(at + c.at.y), source_at(at + c.at.z), source_at(at + c.at.w)),
    c.exist & vec4<bool>(exists));
  let far = select(
    vec2f(), vec2f(source_at(at + c.far_at.x), source_at(at + c.far_at.y)), c.far_exist & vec2<bool>(exists));
  return Line(near, vec4f(near.yzw, far.x), vec4f(near.zw, far));
}

fn gradients(at: u32, pixels: vec4u, exist: vec4<bool>) -> vec4f {
  let d = vec4f(output_gradient[at + pixels.x], output_gradient[at + pixels.y],
                output_gradient[at + pixels.z], output_gradient[at + pixels.w]);
  return select(vec4f(), d, exist);
}

fn taps(d: vec4f, above: Line, here: Line, below: Line) -> mat3x3f {
  return mat3x3f(
    dot(d, above.left), dot(d, above.middle), dot(d, above.right),
    dot(d, here.left), dot(d, here.middle), dot(d, here.right),
    dot(d, below.left), dot(d, below.middle), dot(d, below.right));
}

fn total(d: vec4f) -> f32 {
  return (d.x + d.y) + (d.z + d.w);
}

fn store(at: u32, w: mat3x3f) {
  sums[at] = w[0].x; sums[at + 1u] = w[0].y; sums[at + 2u] = w[0].z;
  sums[at + 3u] = w[1].x; sums[at + 4u] = w[1].y; sums[at + 5u] = w[1].z;
  sums[at + 6u] = w[2].x; sums[at + 7u] = w[2].y; sums[at + 8u] = w[2].z;
}
