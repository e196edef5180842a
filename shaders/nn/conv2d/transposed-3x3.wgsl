// 3 x 3 convolution of stride 2 backward to its input; or a transposed one, forward. One invocation makes a register tile of 4 x 8
// pixels by 4 channels of the target (or by one: channels/), all from registers: 15 values of the source and 36 weights for 288
// products. Along each axis every other pixel meets the middle tap alone, and the ones between them the two outer taps:
//   dx[t, v, u] = sum over s, i, j of W[s, t, i, j] dy[s, (v + p - i) / 2, (u + p - j) / 2]
// over the taps for which both quotients are whole. Layouts as in torch.nn.Conv2d and ConvTranspose2d; t and s count within a group.
// Every sum has a fixed order: equal bits on every run.

const FLIPPED = true;

#import nn/conv2d/planes
#import nn/conv2d/lines
#import channels
#import nn/conv2d/kernels

// Whether the first line, or column, of a tile meets the middle tap.
override MIDDLE_FIRST_Y = PAD_Y % 2 == 1;
override MIDDLE_FIRST_X = PAD_X % 2 == 1;

@compute @workgroup_size(WORKGROUP_SIZE)
fn conv2d_3x3_transposed(@builtin(global_invocation_id) id: vec3u) {
  let tile = tile_of(flat_index(id));
  if (tile.row >= bounded(ROWS)) { return; }
  // The first of the source's columns, and lines, that the tile meets.
  let taken = taken_from((i32(tile.x) + PAD_X - 1) >> 1u);
  let top = (i32(tile.y) + PAD_Y - 1) >> 1u;
  var w = weights_of(tile);
  var plane = source_of(tile);
  // By lines, from above, those of the outer taps and those of the middle one; and by columns, likewise.
  var outer_outer_0 = beginnings(tile);
  var outer_middle_0 = outer_outer_0; var middle_outer_0 = outer_outer_0; var middle_middle_0 = outer_outer_0;
  var outer_outer_1 = outer_outer_0; var outer_middle_1 = outer_outer_0;
  var middle_outer_1 = outer_outer_0; var middle_middle_1 = outer_outer_0;
  for (var s = 0u; s < SOURCE_CHANNELS; s++) {
    let k = kernels_at(w);
    let l = lines_from(plane, top, taken);
    outer_outer_0 += outer(l.upper, k.upper) + outer(l.middle, k.lower);
    outer_middle_0 += middle(l.upper, k.upper) + middle(l.middle, k.lower);
    outer_outer_1 += outer(l.middle, k.upper) + outer(l.lower, k.lower);
    outer_middle_1 += middle(l.middle, k.upper) + middle(l.lower, k.lower);
    if (MIDDLE_FIRST_Y) {
      middle_outer_0 += outer(l.upper, k.middle);
      middle_middle_0 += middle(l.upper, k.middle);
      middle_outer_1 += outer(l.middle, k.middle);
      middle_middle_1 += middle(l.middle, k.middle);
    } else {
      middle_outer_0 += outer(l.middle, k.middle);
      middle_middle_0 += middle(l.middle, k.middle);
      middle_outer_1 += outer(l.lower, k.middle);
      middle_middle_1 += middle(l.lower, k.middle);
    }
    w += Weights(SOURCE_STEP);
    plane += SOURCE_PLANE;
  }

  let outer_line = select(0u, 1u, MIDDLE_FIRST_Y);
  store_line(tile, outer_line, outer_outer_0, outer_middle_0);
  store_line(tile, 1u - outer_line, middle_outer_0, middle_middle_0);
  store_line(tile, 2u + outer_line, outer_outer_1, outer_middle_1);
  store_line(tile, 3u - outer_line, middle_outer_1, middle_middle_1);
  clear_padding_by(tile);
}

fn outer(l: Line, k: Taps) -> Sums {
  return outer_products(l.left, l.middle, k);
}

fn middle(l: Line, k: Taps) -> Sums {
  if (MIDDLE_FIRST_X) { return middle_products(l.left, k); }
  return middle_products(l.middle, k);
}

fn store_line(tile: Tile, line: u32, outer: Sums, middle: Sums) {
  if (tile.y + line >= TARGET_HEIGHT) { return; }
  let at = target_of(tile) + line * TARGET_WIDTH;
  if (MIDDLE_FIRST_X) {
    store_eight(tile, at, middle, outer);
  } else {
    store_eight(tile, at, outer, middle);
  }
}

fn store_eight(tile: Tile, at: u32, even: Sums, odd: Sums) {
  store_sums(tile, at, tile.x, first_of(even, odd));
  if (tile.x + 4u < TARGET_WIDTH) { store_sums(tile, at + 4u, tile.x + 4u, last_of(even, odd)); }
}
