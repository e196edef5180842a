// A tile of L R^T: element (i, j) is the product of row i of L and row j of R.

alias Tile = array<mat4x4f, 4>;          // blocks of 4 x 4: upper left, upper right, lower left, lower right

fn tile_product(left_at: u32, right_at: u32, row: u32, col: u32) -> Tile {
  // Where the rows begin: a multiplication for each read would be felt.
  let ls = product.left_stride;
  let l0 = left_at + row * ls; let l1 = l0 + ls; let l2 = l1 + ls; let l3 = l2 + ls;
  let l4 = l3 + ls; let l5 = l4 + ls; let l6 = l5 + ls; let l7 = l6 + ls;
  let rs = product.right_stride;
  let r0 = right_at + col * rs; let r1 = r0 + rs; let r2 = r1 + rs; let r3 = r2 + rs;
  let r4 = r3 + rs; let r5 = r4 + rs; let r6 = r5 + rs; let r7 = r6 + rs;
  // Row i of the tile: c<i>0 and c<i>1.
  var c00 = vec4f(); var c10 = vec4f(); var c20 = vec4f(); var c30 = vec4f();
  var c40 = vec4f(); var c50 = vec4f(); var c60 = vec4f(); var c70 = vec4f();
  var c01 = vec4f(); var c11 = vec4f(); var c21 = vec4f(); var c31 = vec4f();
  var c41 = vec4f(); var c51 = vec4f(); var c61 = vec4f(); var c71 = vec4f();
  for (var q = 0u; q < product.depth / 4u; q++) {
    let a = mat4x4f(right[r0 + q], right[r1 + q], right[r2 + q], right[r3 + q]);
    let b = mat4x4f(right[r4 + q], right[r5 + q], right[r6 + q], right[r7 + q]);
    let x0 = left[l0 + q]; c00 += x0 * a; c01 += x0 * b;
    let x1 = left[l1 + q]; c10 += x1 * a; c11 += x1 * b;
    let x2 = left[l2 + q]; c20 += x2 * a; c21 += x2 * b;
    let x3 = left[l3 + q]; c30 += x3 * a; c31 += x3 * b;
    let x4 = left[l4 + q]; c40 += x4 * a; c41 += x4 * b;
    let x5 = left[l5 + q]; c50 += x5 * a; c51 += x5 * b;
    let x6 = left[l6 + q]; c60 += x6 * a; c61 += x6 * b;
    let x7 = left[l7 + q]; c70 += x7 * a; c71 += x7 * b;
  }
  return Tile(
    mat4x4f(c00, c10, c20, c30), mat4x4f(c01, c11, c21, c31), mat4x4f(c40, c50, c60, c70), mat4x4f(c41, c51, c61, c71)
  );
}
