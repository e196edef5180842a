// Convolution of any kernel, stride, padding, dilation and groups, forward or backward to its input (reach/). One invocation makes
// a register tile of 4 x 4 pixels by 4 channels of the target (or by one: channels/):
//   target[t, v, u] = b[t] + sum over s, i, j of W[t, s, i, j] source[s] where the tap i, j reaches it from v, u
// Backward, the pixels of a tile are a stride apart: the same taps reach all of them, and the others are left out.
// Layouts as in torch.nn.Conv2d; t and s count within a group. Every sum has a fixed order: equal bits on every run.

override KERNEL_Y: u32;
override KERNEL_X: u32;
override STRIDE_Y: i32;
override STRIDE_X: i32;
override DILATION_Y: i32;
override DILATION_X: i32;
override LINE_STEP: u32;                              // from a line of a tile to the next
// Whether no pixel that is stored meets padding.
override ALL_EXIST: bool;
override TAPS = KERNEL_Y * KERNEL_X;

#import nn/conv2d/planes
#import channels
#import reach

@compute @workgroup_size(WORKGROUP_SIZE)
fn conv2d_any(@builtin(global_invocation_id) id: vec3u) {
  let index = flat_index(id);
  let phase = index / (ROWS * GROUPS * CHANNEL_TILES * TILES_Y * TILES_X);
  if (phase >= bounded(PIXEL_STEP * LINE_STEP)) { return; }
  var tile = tile_of(index % (ROWS * GROUPS * CHANNEL_TILES * TILES_Y * TILES_X));
  tile.y += phase / PIXEL_STEP;
  tile.x += phase % PIXEL_STEP;
  clear_padding_by(tile);
  let v = vec4i(i32(tile.y)) + i32(LINE_STEP) * vec4i(0, 1, 2, 3);
  let u = vec4i(i32(tile.x)) + i32(PIXEL_STEP) * vec4i(0, 1, 2, 3);
  let first_weight = Weights(tile.group * TARGET_CHANNELS * SOURCE_CHANNELS * TAPS) + channels_of(tile) * TARGET_STEP;
  let first_plane = source_of(tile);
  // Lines of the tile.
  var a0 = beginnings(tile);
  var a1 = a0; var a2 = a0; var a3 = a0;
  for (var i = 0u; i < KERNEL_Y; i++) {
    if (!reaches(v.x, i32(i), STRIDE_Y, DILATION_Y, PAD_Y)) { continue; }
    let lines = reached(v, i32(i), STRIDE_Y, DILATION_Y, PAD_Y, SOURCE_HEIGHT);
    let at = lines.at * SOURCE_WIDTH;
    for (var j = 0u; j < KERNEL_X; j++) {
      if (!reaches(u.x, i32(j), STRIDE_X, DILATION_X, PAD_X)) { continue; }
      let columns = reached(u, i32(j), STRIDE_X, DILATION_X, PAD_X, SOURCE_WIDTH);
      var w = first_weight + Weights(i * KERNEL_X + j);
      var plane = first_plane;
      for (var s = 0u; s < SOURCE_CHANNELS; s++) {
        let k = tap_at(w);
        a0 += tap_products(pixels(plane + at.x, columns, lines.exist.x), k);
        a1 += tap_products(pixels(plane + at.y, columns, lines.exist.y), k);
        a2 += tap_products(pixels(plane + at.z, columns, lines.exist.z), k);
        a3 += tap_products(pixels(plane + at.w, columns, lines.exist.w), k);
        w += Weights(SOURCE_STEP);
        plane += SOURCE_PLANE;
      }
    }
  }

  if (tile.x >= TARGET_WIDTH) { return; }
  store_line(tile, 0u, a0);
  store_line(tile, LINE_STEP, a1);
  store_line(tile, 2u * LINE_STEP, a2);
  store_line(tile, 3u * LINE_STEP, a3);
}

fn store_line(tile: Tile, line: u32, sums: Sums) {
  if (tile.y + line < TARGET_HEIGHT) { store_sums(tile, target_of(tile) + line * TARGET_WIDTH, tile.x, sums); }
}

// Where 4 pixels meet the source along an axis; those that do not are read elsewhere and count as 0.
struct Reached {
  at: vec4u,
  exist: vec4<bool>,
}

fn pixels(line: u32, columns: Reached, exists: bool) -> vec4f {
  let at = vec4u(line) + columns.at;
  let v = vec4f(source_at(at.x), source_at(at.y), source_at(at.z), source_at(at.w));
  if (ALL_EXIST) { return v; }
  return select(vec4f(), v, columns.exist & vec4<bool>(exists));
}
