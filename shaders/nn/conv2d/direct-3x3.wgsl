// 3 x 3 convolution, forward or, of stride 1, (FLIPPED) backward to its input. One invocation makes a register tile of 4 x 4 pixels
// by 4 channels of the target (or by one: channels/), all from registers: with stride 1, 36 values of the source and 36 weights
// for 576 products.
//   forward:  y[t, v, u] = b[t] + sum over s, i, j of W[t, s, i, j] x[s, v stride + i dilation - p, u stride + j dilation - p]
//   FLIPPED:  dx[t, v, u] = sum over s, i, j of W[s, t, 2 - i, 2 - j] dy[s, v + i dilation - p, u + j dilation - p],
//             p being 2 dilation - the padding
// Layouts as in torch.nn.Conv2d; t and s count within a group. Every sum has a fixed order: equal bits on every run.

override FLIPPED: bool = false;

#import nn/conv2d/planes
#import nn/conv2d/lines
#import channels
#import nn/conv2d/kernels

@compute @workgroup_size(WORKGROUP_SIZE)
fn conv2d_3x3(@builtin(global_invocation_id) id: vec3u) {
  let tile = tile_of(flat_index(id));
  if (tile.row >= bounded(ROWS)) { return; }
  let taken = taken_from(i32(tile.x) * STRIDE_X - PAD_X);
  let top = i32(tile.y) * STRIDE_Y - PAD_Y;
  var w = weights_of(tile);
  var plane = source_of(tile);
  // Lines of the tile.
  var a0 = beginnings(tile);
  var a1 = a0; var a2 = a0; var a3 = a0;
  for (var s = 0u; s < SOURCE_CHANNELS; s++) {
    let k = kernels_at(w);
    let l0 = lines_from(plane, top, taken);
    a0 += window(l0, k);
    let l1 = lines_after(l0, plane, top + STRIDE_Y, taken);
    a1 += window(l1, k);
    let l2 = lines_after(l1, plane, top + 2 * STRIDE_Y, taken);
    a2 += window(l2, k);
    let l3 = lines_after(l2, plane, top + 3 * STRIDE_Y, taken);
    a3 += window(l3, k);
    w += Weights(SOURCE_STEP);
    plane += SOURCE_PLANE;
  }

  let at = target_of(tile);
  store_sums(tile, at, tile.x, a0);
  if (tile.y + 1u < TARGET_HEIGHT) { store_sums(tile, at + TARGET_WIDTH, tile.x, a1); }
  if (tile.y + 2u < TARGET_HEIGHT) { store_sums(tile, at + 2u * TARGET_WIDTH, tile.x, a2); }
  if (tile.y + 3u < TARGET_HEIGHT) { store_sums(tile, at + 3u * TARGET_WIDTH, tile.x, a3); }
  clear_padding_by(tile);
}

fn window(l: Lines, k: Kernels) -> Sums {
  return products(l.upper.left, l.upper.middle, l.upper.right, k.upper)
    + products(l.middle.left, l.middle.middle, l.middle.right, k.middle)
    + products(l.lower.left, l.lower.middle, l.lower.right, k.lower);
}
