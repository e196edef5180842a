// One matrix product of a Newton-Schulz step, for a batch of matrices of equal shape. One invocation makes register tiles of
// 8 x 8 elements:
//   C = alpha D + beta L^T R,   C_ij = alpha D_ij + beta sum_k L_ki R_kj
// L and R are read row by row: neighbours read neighbouring quads (vec4f). Of X its transpose T is kept beside it, so that every
// product of a step has this form. For X with no more rows than columns, and for the others:
//   A = T^T T      B = b A + c A^T A      X <- a X + B^T X
//   A = X^T X      B = b A + c A^T A      X <- a X + T^T B
// A and B are symmetric. SYMMETRIC: a tile above the diagonal is stored twice, what lies below is not computed.
// No workgroup memory: staging through it was 4 times slower on a software adapter, and 1 KiB is too little to pay elsewhere.
// The order of each sum is fixed: equal bits on every run. After Keller Jordan, https://kellerjordan.github.io/posts/muon.
//
// Rows of L, R and D are a whole number of quads. A tile may read behind the last row and column, and gets whatever lies there:
// what comes of it is behind the last row or column of C, where nobody looks.

#import newton-schulz/product-record
#import store

override WORKGROUP_X: u32 = 8;
override WORKGROUP_Y: u32 = 8;
override SYMMETRIC: bool = false;
override ADD: bool = true;              // false: there is no D
override MIRROR: bool = false;          // C is stored transposed, too

@group(0) @binding(0) var<uniform> product: Product;                  // of this dispatch; offsets in elements
@group(0) @binding(1) var<storage, read> table: array<u32>;                    // where matrices begin, in elements
@group(0) @binding(2) var<storage, read> left: array<vec4f>;                   // L [depth, rows]
@group(0) @binding(3) var<storage, read> right: array<vec4f>;                  // R [depth, cols]
@group(0) @binding(4) var<storage, read> addend: array<vec4f>;                 // D [rows, cols]
@group(0) @binding(5) var<storage, read_write> result: array<StoredElement>;   // C [rows, cols]
@group(0) @binding(6) var<storage, read_write> mirror: array<vec4f>;           // C^T [cols, rows]

@compute @workgroup_size(WORKGROUP_X, WORKGROUP_Y)
fn multiply(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let left_at = table[product.left + id.z] / 4u;
  let right_at = table[product.right + id.z] / 4u;
  let addend_at = table[product.addend + id.z] / 4u;
  let at = vec2u(table[product.result + id.z], table[product.mirror + id.z] / 4u);
  for (var row = id.y * 8u; row < product.rows; row += workgroups.y * WORKGROUP_Y * 8u) {
    for (var col = id.x * 8u; col < product.cols; col += workgroups.x * WORKGROUP_X * 8u) {
      if (SYMMETRIC && col < row) { continue; }
      let c = tile_product(left_at + row / 4u, right_at + col / 4u);
      let blocks = Tile(
        finished(c[0], addend_at, row, col), finished(c[1], addend_at, row, col + 4u),
        finished(c[2], addend_at, row + 4u, col), finished(c[3], addend_at, row + 4u, col + 4u)
      );
      if (row + 8u <= product.rows && col + 8u <= product.cols) {
        store_whole(row, col, blocks, at);
      } else {
        store_edge(row, col, blocks, at);
      }
    }
  }
}

// Blocks of 4 x 4: upper left, upper right, lower left, lower right. A block's rows are, in WGSL's words, a matrix's columns.
alias Tile = array<mat4x4f, 4>;

// `left_at` and `right_at` are the first quads of the tile's rows and columns.
fn tile_product(left_at: u32, right_at: u32) -> Tile {
  // A look at the record in every turn would be felt.
  let depth = product.depth;
  let left_stride = product.left_stride;
  let right_stride = product.right_stride;
  // Row i of the tile: c<i>0 and c<i>1. They begin with the first k where there is an odd number of them, and else with 0.
  let odd = depth & 1u;
  let x = left[left_at] * f32(odd); let y = left[left_at + 1u] * f32(odd);
  let a = right[right_at]; let b = right[right_at + 1u];
  var c00 = x.x * a; var c01 = x.x * b;
  var c10 = x.y * a; var c11 = x.y * b;
  var c20 = x.z * a; var c21 = x.z * b;
  var c30 = x.w * a; var c31 = x.w * b;
  var c40 = y.x * a; var c41 = y.x * b;
  var c50 = y.y * a; var c51 = y.y * b;
  var c60 = y.z * a; var c61 = y.z * b;
  var c70 = y.w * a; var c71 = y.w * b;
  // Then two k at a time: one costs a fifth more on a software adapter, and so do three.
  var l = left_at + odd * left_stride;
  var r = right_at + odd * right_stride;
  for (var k = odd; k < depth; k += 2u) {
    let x = left[l]; let y = left[l + 1u];
    let v = left[l + left_stride]; let w = left[l + left_stride + 1u];
    let a = right[r]; let b = right[r + 1u];
    let d = right[r + right_stride]; let e = right[r + right_stride + 1u];
    c00 += x.x * a + v.x * d; c01 += x.x * b + v.x * e;
    c10 += x.y * a + v.y * d; c11 += x.y * b + v.y * e;
    c20 += x.z * a + v.z * d; c21 += x.z * b + v.z * e;
    c30 += x.w * a + v.w * d; c31 += x.w * b + v.w * e;
    c40 += y.x * a + w.x * d; c41 += y.x * b + w.x * e;
    c50 += y.y * a + w.y * d; c51 += y.y * b + w.y * e;
    c60 += y.z * a + w.z * d; c61 += y.z * b + w.z * e;
    c70 += y.w * a + w.w * d; c71 += y.w * b + w.w * e;
    l += 2u * left_stride;
    r += 2u * right_stride;
  }
  return Tile(
    mat4x4f(c00, c10, c20, c30), mat4x4f(c01, c11, c21, c31), mat4x4f(c40, c50, c60, c70), mat4x4f(c41, c51, c61, c71)
  );
}

fn finished(sum: mat4x4f, addend_at: u32, row: u32, col: u32) -> mat4x4f {
  if (!ADD) { return product.beta * sum; }
  let stride = product.addend_stride;
  let at = addend_at + row * stride + col / 4u;
  let d = mat4x4f(addend[at], addend[at + stride], addend[at + 2u * stride], addend[at + 3u * stride]);
  return product.alpha * d + product.beta * sum;
}

// A tile within C, without a test or a variable index: with them the whole kernel takes a fifth longer on a software adapter.
// `at` is where C begins, in elements, and where C^T does, in quads.
fn store_whole(row: u32, col: u32, blocks: Tile, at: vec2u) {
  store_block(row, col, blocks[0], at);
  store_block(row, col + 4u, blocks[1], at);
  store_block(row + 4u, col, blocks[2], at);
  store_block(row + 4u, col + 4u, blocks[3], at);
}

fn store_block(row: u32, col: u32, block: mat4x4f, at: vec2u) {
  store_quad(at.x, row, col, block[0]);
  store_quad(at.x, row + 1u, col, block[1]);
  store_quad(at.x, row + 2u, col, block[2]);
  store_quad(at.x, row + 3u, col, block[3]);
  if (!SYMMETRIC && !MIRROR) { return; }
  let turned = transpose(block);
  store_turned(col, row, turned[0], at);
  store_turned(col + 1u, row, turned[1], at);
  store_turned(col + 2u, row, turned[2], at);
  store_turned(col + 3u, row, turned[3], at);
}

// A row of a transposed block.
fn store_turned(row: u32, col: u32, value: vec4f, at: vec2u) {
  if (SYMMETRIC) {
    store_quad(at.x, row, col, value);
  } else {
    mirror[at.y + row * product.mirror_stride + col / 4u] = value;
  }
}

// What lies within C of a tile at its edge.
fn store_edge(row: u32, col: u32, blocks: Tile, at: vec2u) {
  var straight = blocks;      // only what is in memory can be indexed by a variable everywhere
  var turned = Tile(transpose(blocks[0]), transpose(blocks[1]), transpose(blocks[2]), transpose(blocks[3]));
  for (var i = 0u; i < 16u; i++) {
    let b = i >> 2u;
    let j = i & 3u;
    let top = row + (b >> 1u) * 4u;
    let first = col + (b & 1u) * 4u;
    if (top + j < product.rows && first < product.cols) { store_quad(at.x, top + j, first, straight[b][j]); }
    if ((SYMMETRIC || MIRROR) && top < product.rows && first + j < product.cols) {
      store_turned(first + j, top, turned[b][j], at);
    }
  }
}
