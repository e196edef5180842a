// Convolution of any kernel, stride, padding, dilation and groups, forward. One invocation makes a register tile of 2 x 4
// pixels by 4 channels of the result:
//   y[t, v, u] = b[t] + sum over s, i, j of W[t, s, i, j] x[s, v stride + i dilation - p, u stride + j dilation - p]
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
override KERNEL_Y: u32;
override KERNEL_X: u32;
override STRIDE_Y: u32;
override STRIDE_X: u32;
override PAD_Y: i32;
override PAD_X: i32;
override DILATION_Y: u32;
override DILATION_X: u32;
override TILES_X = (TARGET_WIDTH + 3u) / 4u;
override TILES_Y = (TARGET_HEIGHT + 1u) / 2u;
override CHANNEL_TILES = (TARGET_CHANNELS + 3u) / 4u;
override SOURCE_PLANE = SOURCE_HEIGHT * SOURCE_WIDTH;
override TARGET_PLANE = TARGET_HEIGHT * TARGET_WIDTH;
override TAPS = KERNEL_Y * KERNEL_X;

// binding 0: source/
@group(0) @binding(1) var<storage, read> weight: array<f32>;                   // W [out, in / GROUPS, KERNEL_Y, KERNEL_X]
// binding 2: target/, y [ROWS, TARGET_STRIDE]
// binding 3: epilogue/

#import source
#import epilogue
#import target

@compute @workgroup_size(WORKGROUP_SIZE)
fn conv2d_direct(@builtin(global_invocation_id) id: vec3u) {
  var rest = flat_index(id);
  let tile = rest % (TILES_X * TILES_Y);
  rest /= TILES_X * TILES_Y;
  let channel_tile = rest % CHANNEL_TILES;
  rest /= CHANNEL_TILES;
  let group = rest % GROUPS;
  let row = rest / GROUPS;
  if (row >= ROWS) { return; }
  let x = 4u * (tile % TILES_X);
  let y = 2u * (tile / TILES_X);
  let u = vec4i((vec4u(x) + vec4u(0u, 1u, 2u, 3u)) * STRIDE_X) - PAD_X;
  let v = vec2i((vec2u(y) + vec2u(0u, 1u)) * STRIDE_Y) - PAD_Y;
  let t = vec4u(4u * channel_tile) + vec4u(0u, 1u, 2u, 3u);
  var w = (vec4u(group * TARGET_CHANNELS) + min(t, vec4u(TARGET_CHANNELS - 1u))) * (SOURCE_CHANNELS * TAPS);
  var plane = row * SOURCE_STRIDE + group * SOURCE_CHANNELS * SOURCE_PLANE;
  // The two lines of the tile; a column of a matrix is a channel.
  let last_channel = (group + 1u) * TARGET_CHANNELS - 1u;
  let channel = group * TARGET_CHANNELS + t.x;
  var a0 = mat4x4f(
    vec4f(beginning(channel)), vec4f(beginning(min(channel + 1u, last_channel))),
    vec4f(beginning(min(channel + 2u, last_channel))), vec4f(beginning(min(channel + 3u, last_channel))));
  var a1 = a0;
  for (var s = 0u; s < SOURCE_CHANNELS; s++) {
    for (var i = 0u; i < KERNEL_Y; i++) {
      let line = v + i32(i * DILATION_Y);
      for (var j = 0u; j < KERNEL_X; j++) {
        let columns = u + i32(j * DILATION_X);
        let k = vec4f(weight[w.x], weight[w.y], weight[w.z], weight[w.w]);
        let x0 = pixels(plane, line.x, columns);
        let x1 = pixels(plane, line.y, columns);
        a0 += mat4x4f(k.x * x0, k.y * x0, k.z * x0, k.w * x0);
        a1 += mat4x4f(k.x * x1, k.y * x1, k.z * x1, k.w * x1);
        w += 1u;
      }
    }
    plane += SOURCE_PLANE;
  }

  let begin = row * TARGET_STRIDE + channel * TARGET_PLANE + y * TARGET_WIDTH + x;
  for (var c = 0u; c < min(4u, TARGET_CHANNELS - t.x); c++) {
    store_pixels(begin + c * TARGET_PLANE, x, a0[c]);
    if (y + 1u < TARGET_HEIGHT) { store_pixels(begin + c * TARGET_PLANE + TARGET_WIDTH, x, a1[c]); }
  }
  if (tile + channel_tile + group == 0u) { clear_padding(row, GROUPS * TARGET_CHANNELS * TARGET_PLANE); }
}

// 4 pixels of a line; outside of the plane they are 0.
fn pixels(plane: u32, y: i32, x: vec4i) -> vec4f {
  let exist = (vec4u(x) < vec4u(SOURCE_WIDTH)) & vec4<bool>(u32(y) < SOURCE_HEIGHT);
  let line = plane + u32(clamp(y, 0, i32(SOURCE_HEIGHT) - 1)) * SOURCE_WIDTH;
  let at = vec4u(line) + vec4u(clamp(x, vec4i(0), vec4i(i32(SOURCE_WIDTH) - 1)));
  return select(vec4f(), vec4f(source_at(at.x), source_at(at.y), source_at(at.z), source_at(at.w)), exist);
}
