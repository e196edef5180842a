// A tile of L^T R: element (i, j) is the product of column i of L and column j of R.

alias Tile = array<mat4x4f, 4>;          // blocks of 4 x 4: upper left, upper right, lower left, lower right

fn tile_product(left_at: u32, right_at: u32, row: u32, col: u32) -> Tile {
  // Row i of the tile: c<i>0 and c<i>1.
  var c00 = vec4f(); var c10 = vec4f(); var c20 = vec4f(); var c30 = vec4f();
  var c40 = vec4f(); var c50 = vec4f(); var c60 = vec4f(); var c70 = vec4f();
  var c01 = vec4f(); var c11 = vec4f(); var c21 = vec4f(); var c31 = vec4f();
  var c41 = vec4f(); var c51 = vec4f(); var c61 = vec4f(); var c71 = vec4f();
  var l = left_at + row / 4u;
  var r = right_at + col / 4u;
  for (var k = 0u; k < product.depth; k++) {
    let x = left[l];
    let y = left[l + 1u];
    let a = right[r];
    let b = right[r + 1u];
    l += product.left_stride;
    r += product.right_stride;
    c00 += x.x * a; c01 += x.x * b;
    c10 += x.y * a; c11 += x.y * b;
    c20 += x.z * a; c21 += x.z * b;
    c30 += x.w * a; c31 += x.w * b;
    c40 += y.x * a; c41 += y.x * b;
    c50 += y.y * a; c51 += y.y * b;
    c60 += y.z * a; c61 += y.z * b;
    c70 += y.w * a; c71 += y.w * b;
  }
  return Tile(
    mat4x4f(c00, c10, c20, c30), mat4x4f(c01, c11, c21, c31), mat4x4f(c40, c50, c60, c70), mat4x4f(c41, c51, c61, c71)
  );
}
