// 3 x 3 convolution of stride and dilation 1, forward or (FLIPPED) backward to its input. One invocation makes a register tile
// of 4 x 4 pixels by 4 channels of the target, all from registers: 36 values of the source and 36 weights for 576 products.
//   forward:  y[t, v, u] = b[t] + sum over s, i, j of W[t, s, i, j] x[s, v + i - p, u + j - p]
//   FLIPPED:  dx[t, v, u] = sum over s, i, j of W[s, t, 2 - i, 2 - j] dy[s, v + i - p, u + j - p],  p being 2 - the padding
// Layouts as in torch.nn.Conv2d; t and s count within a group. Every sum has a fixed order: equal bits on every run.
// Linked in: what is convolved (source/), how sums begin and end (epilogue/), how they are stored (target/).

#import nn/lib/flat-index

override ROWS: u32;
override GROUPS: u32;
override SOURCE_CHANNELS: u32;                        // of a group
override SOURCE_HEIGHT: u32;
override SOURCE_WIDTH: u32;
override SOURCE_STRIDE: u32;                          // floats of a row (sample)
override TARGET_CHANNELS: u32;                        // of a group
override TARGET_HEIGHT: u32;
override TARGET_WIDTH: u32;
override TARGET_STRIDE: u32;
override PAD_Y: i32;
override PAD_X: i32;
override FLIPPED: bool = false;
override TILES_X = (TARGET_WIDTH + 3u) / 4u;
override TILES_Y = (TARGET_HEIGHT + 3u) / 4u;
override CHANNEL_TILES = (TARGET_CHANNELS + 3u) / 4u;
override SOURCE_PLANE = SOURCE_HEIGHT * SOURCE_WIDTH;
override TARGET_PLANE = TARGET_HEIGHT * TARGET_WIDTH;
// Weights from a channel of the target, and of the source, to the next.
override TARGET_STEP = select(9u * SOURCE_CHANNELS, 9u, FLIPPED);
override SOURCE_STEP = select(9u, 9u * TARGET_CHANNELS, FLIPPED);

// binding 0: source/
@group(0) @binding(1) var<storage, read> weight: array<f32>;                   // W [out, in / GROUPS, 3, 3]
// binding 2: target/, y or dx [ROWS, TARGET_STRIDE]
// binding 3: epilogue/

#import source
#import epilogue
#import target

// Columns of the source that the tile needs; those outside of it are read elsewhere and count as 0.
struct Columns {
  at: vec4u,
  exist: vec4<bool>,
  far_at: vec2u,
  far_exist: vec2<bool>,
}

// A line of the source as the taps of a kernel's line see it, for 4 neighbouring pixels.
struct Line {
  left: vec4f,
  middle: vec4f,
  right: vec4f,
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn conv2d_3x3(@builtin(global_invocation_id) id: vec3u) {
  var rest = flat_index(id);
  let tile = rest % (TILES_X * TILES_Y);
  rest /= TILES_X * TILES_Y;
  let channel_tile = rest % CHANNEL_TILES;
  rest /= CHANNEL_TILES;
  let group = rest % GROUPS;
  let row = rest / GROUPS;
  if (row >= ROWS) { return; }
  let x = 4u * (tile % TILES_X);
  let y = 4u * (tile / TILES_X);

  let near = vec4i(i32(x) - PAD_X) + vec4i(0, 1, 2, 3);
  let far = vec2i(i32(x) - PAD_X) + vec2i(4, 5);
  let last = i32(SOURCE_WIDTH) - 1;
  let columns = Columns(
    vec4u(clamp(near, vec4i(0), vec4i(last))), vec4u(near) < vec4u(SOURCE_WIDTH),
    vec2u(clamp(far, vec2i(0), vec2i(last))), vec2u(far) < vec2u(SOURCE_WIDTH));
  let top = i32(y) - PAD_Y;

  let t = vec4u(4u * channel_tile) + vec4u(0u, 1u, 2u, 3u);
  var w = vec4u(group * TARGET_CHANNELS * SOURCE_CHANNELS * 9u) + min(t, vec4u(TARGET_CHANNELS - 1u)) * TARGET_STEP;
  var plane = row * SOURCE_STRIDE + group * SOURCE_CHANNELS * SOURCE_PLANE;
  // Lines of the tile; a column of a matrix is a channel.
  let last_channel = (group + 1u) * TARGET_CHANNELS - 1u;
  let channel = group * TARGET_CHANNELS + t.x;
  var a0 = mat4x4f(
    vec4f(beginning(channel)), vec4f(beginning(min(channel + 1u, last_channel))),
    vec4f(beginning(min(channel + 2u, last_channel))), vec4f(beginning(min(channel + 3u, last_channel))));
  var a1 = a0; var a2 = a0; var a3 = a0;
  for (var s = 0u; s < SOURCE_CHANNELS; s++) {
    let k0 = kernel(w.x); let k1 = kernel(w.y); let k2 = kernel(w.z); let k3 = kernel(w.w);
    let l0 = line(plane, top, columns);
    a0 += products(l0, k0[0], k1[0], k2[0], k3[0]);
    let l1 = line(plane, top + 1, columns);
    a0 += products(l1, k0[1], k1[1], k2[1], k3[1]);
    a1 += products(l1, k0[0], k1[0], k2[0], k3[0]);
    let l2 = line(plane, top + 2, columns);
    a0 += products(l2, k0[2], k1[2], k2[2], k3[2]);
    a1 += products(l2, k0[1], k1[1], k2[1], k3[1]);
    a2 += products(l2, k0[0], k1[0], k2[0], k3[0]);
    let l3 = line(plane, top + 3, columns);
    a1 += products(l3, k0[2], k1[2], k2[2], k3[2]);
    a2 += products(l3, k0[1], k1[1], k2[1], k3[1]);
    a3 += products(l3, k0[0], k1[0], k2[0], k3[0]);
    let l4 = line(plane, top + 4, columns);
    a2 += products(l4, k0[2], k1[2], k2[2], k3[2]);
    a3 += products(l4, k0[1], k1[1], k2[1], k3[1]);
    let l5 = line(plane, top + 5, columns);
    a3 += products(l5, k0[2], k1[2], k2[2], k3[2]);
    w += vec4u(SOURCE_STEP);
    plane += SOURCE_PLANE;
  }

  let begin = row * TARGET_STRIDE + channel * TARGET_PLANE + y * TARGET_WIDTH + x;
  let channels = min(4u, TARGET_CHANNELS - t.x);
  store(begin, channels, x, a0);
  if (y + 1u < TARGET_HEIGHT) { store(begin + TARGET_WIDTH, channels, x, a1); }
  if (y + 2u < TARGET_HEIGHT) { store(begin + 2u * TARGET_WIDTH, channels, x, a2); }
  if (y + 3u < TARGET_HEIGHT) { store(begin + 3u * TARGET_WIDTH, channels, x, a3); }
  if (tile + channel_tile + group == 0u) { clear_padding(row, GROUPS * TARGET_CHANNELS * TARGET_PLANE); }
}

fn line(plane: u32, y: i32, c: Columns) -> Line {
  let exists = u32(y) < SOURCE_HEIGHT;
  let at = plane + u32(clamp(y, 0, i32(SOURCE_HEIGHT) - 1)) * SOURCE_WIDTH;
  let near = select(
    vec4f(),
    vec4f(source_at(at + c.at.x), source_at(at + c.at.y), source_at(at + c.at.z), source_at(at + c.at.w)),
    c.exist & vec4<bool>(exists));
  let far = select(
    vec2f(), vec2f(source_at(at + c.far_at.x), source_at(at + c.far_at.y)), c.far_exist & vec2<bool>(exists));
  return Line(near, vec4f(near.yzw, far.x), vec4f(near.zw, far));
}

fn kernel(at: u32) -> mat3x3f {
  let a = vec3f(weight[at], weight[at + 1u], weight[at + 2u]);
  let b = vec3f(weight[at + 3u], weight[at + 4u], weight[at + 5u]);
  let c = vec3f(weight[at + 6u], weight[at + 7u], weight[at + 8u]);
  // Not by a branch: software adapters compile that into masks.
  let flip = vec3<bool>(FLIPPED);
  return mat3x3f(select(a, c.zyx, flip), select(b, b.zyx, flip), select(c, a.zyx, flip));
}

// What one line of the source gives one line of the tile: 4 pixels of 4 channels.
fn products(l: Line, k0: vec3f, k1: vec3f, k2: vec3f, k3: vec3f) -> mat4x4f {
  return mat4x4f(
    k0.x * l.left + k0.y * l.middle + k0.z * l.right,
    k1.x * l.left + k1.y * l.middle + k1.z * l.right,
    k2.x * l.left + k2.y * l.middle + k2.z * l.right,
    k3.x * l.left + k3.y * l.middle + k3.z * l.right);
}

fn store(begin: u32, channels: u32, x: u32, a: mat4x4f) {
  store_pixels(begin, x, a[0]);
  if (channels > 1u) { store_pixels(begin + TARGET_PLANE, x, a[1]); }
  if (channels > 2u) { store_pixels(begin + 2u * TARGET_PLANE, x, a[2]); }
  if (channels > 3u) { store_pixels(begin + 3u * TARGET_PLANE, x, a[3]); }
}
