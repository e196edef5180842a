// Convolution of any kernel, stride, padding, dilation and groups, backward to its weights. One invocation sums, over its share of
// the rows (samples), one tap of 8 output channels and 8 input channels (or 4, where there are no more):
//   dW[o, c, i, j] = sum over samples, v, u of dy[o, v, u] x[c, v stride + i dilation - p, u stride + j dilation - p]
// The shares are summed by weight-gradient-sum.wgsl. Layouts as in torch.nn.Conv2d; o and c count within a group.

#import nn/conv2d/shares

override KERNEL_Y: u32;
override KERNEL_X: u32;
override STRIDE_Y: u32;
override STRIDE_X: u32;
override DILATION_Y: u32;
override DILATION_X: u32;
override OUT_TILE: u32;                               // 4 or 8 channels
override SOURCE_TILE: u32;
override OUT_TILES = (OUT_CHANNELS + OUT_TILE - 1u) / OUT_TILE;
override SOURCE_TILES = (SOURCE_CHANNELS + SOURCE_TILE - 1u) / SOURCE_TILE;
override TAPS = KERNEL_Y * KERNEL_X;

@compute @workgroup_size(WORKGROUP_SIZE)
fn conv2d_weight_gradient(@builtin(global_invocation_id) id: vec3u) {
  var rest = flat_index(id);
  let tap = rest % TAPS;
  rest /= TAPS;
  let c = SOURCE_TILE * (rest % SOURCE_TILES);
  rest /= SOURCE_TILES;
  let o = OUT_TILE * (rest % OUT_TILES);
  rest /= OUT_TILES;
  let group = rest % GROUPS;
  let share = rest / GROUPS;
  if (share >= bounded(SHARES)) { return; }
  // Of a tile that is not full the last channel stands for those that do not exist.
  let four = vec4u(0u, 1u, 2u, 3u);
  let outs = group * OUT_CHANNELS + min(vec4u(o) + four, vec4u(OUT_CHANNELS - 1u));
  let more_outs = group * OUT_CHANNELS + min(vec4u(o + 4u) + four, vec4u(OUT_CHANNELS - 1u));
  let ins = group * SOURCE_CHANNELS + min(vec4u(c) + four, vec4u(SOURCE_CHANNELS - 1u));
  let more_ins = group * SOURCE_CHANNELS + min(vec4u(c + 4u) + four, vec4u(SOURCE_CHANNELS - 1u));
  let first_line = i32(tap / KERNEL_X * DILATION_Y) - PAD_Y;
  let first_column = i32(tap % KERNEL_X * DILATION_X) - PAD_X;

  // A column for each input channel, of 4 output channels.
  var w = mat4x4f(); var w_more_outs = mat4x4f(); var w_more_ins = mat4x4f(); var w_more = mat4x4f();
  var b = vec4f(); var b_more = vec4f();
  for (var row = share * SHARE_ROWS; row < min(ROWS, (share + 1u) * SHARE_ROWS); row++) {
    for (var y = 0u; y < OUT_HEIGHT; y++) {
      let line = i32(y * STRIDE_Y) + first_line;
      let exists = u32(line) < SOURCE_HEIGHT;
      let in_line = row * SOURCE_STRIDE + u32(clamp(line, 0, i32(SOURCE_HEIGHT) - 1)) * SOURCE_WIDTH;
      let out_line = row * OUT_STRIDE + y * OUT_WIDTH;
      for (var x = 0u; x < OUT_WIDTH; x++) {
        let column = i32(x * STRIDE_X) + first_column;
        let inside = exists & (u32(column) < SOURCE_WIDTH);
        let at = in_line + u32(clamp(column, 0, i32(SOURCE_WIDTH) - 1));
        let value = values(at, ins, inside);
        let d = gradients(out_line + x, outs);
        w += products(value, d);
        b += d;
        var more_d = vec4f();
        if (OUT_TILE > 4u) {
          more_d = gradients(out_line + x, more_outs);
          w_more_outs += products(value, more_d);
          b_more += more_d;
        }
        if (SOURCE_TILE > 4u) {
          let more_values = values(at, more_ins, inside);
          w_more_ins += products(more_values, d);
          if (OUT_TILE > 4u) { w_more += products(more_values, more_d); }
        }
      }
    }
  }

  let begin = share * (WEIGHTS + GROUPS * OUT_CHANNELS);
  let place = Place(begin, group, tap);
  store(place, o, c, w);
  if (OUT_TILE > 4u) { store(place, o + 4u, c, w_more_outs); }
  if (SOURCE_TILE > 4u) { store(place, o, c + 4u, w_more_ins); }
  if (OUT_TILE + SOURCE_TILE > 12u) { store(place, o + 4u, c + 4u, w_more); }
  if (tap + c == 0u) {
    for (var m = 0u; m < min(OUT_TILE, OUT_CHANNELS - o); m++) {
      sums[begin + WEIGHTS + group * OUT_CHANNELS + o + m] = select(b[m % 4u], b_more[m % 4u], m > 3u);
    }
  }
}

fn values(at: u32, channels: vec4u, inside: bool) -> vec4f {
  let i = vec4u(at) + channels * SOURCE_PLANE;
  return select(vec4f(), vec4f(source_at(i.x), source_at(i.y), source_at(i.z), source_at(i.w)), vec4<bool>(inside));
}

fn gradients(at: u32, channels: vec4u) -> vec4f {
  let i = vec4u(at) + channels * OUT_PLANE;
  return vec4f(output_gradient[i.x], output_gradient[i.y], output_gradient[i.z], output_gradient[i.w]);
}

fn products(value: vec4f, d: vec4f) -> mat4x4f {
  return mat4x4f(value.x * d, value.y * d, value.z * d, value.w * d);
}

// What all weights of a tile have in common.
struct Place {
  begin: u32,
  group: u32,
  tap: u32,
}

fn store(place: Place, o: u32, c: u32, w: mat4x4f) {
  for (var m = o; m < min(o + 4u, OUT_CHANNELS); m++) {
    for (var k = c; k < min(c + 4u, SOURCE_CHANNELS); k++) {
      let channel = place.group * OUT_CHANNELS + m;
      sums[place.begin + (channel * SOURCE_CHANNELS + k) * TAPS + place.tap] = w[k - c][m - o];
    }
  }
}
