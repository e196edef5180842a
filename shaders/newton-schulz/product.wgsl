// One matrix product of a Newton-Schulz step, for a batch of matrices of equal shape. One invocation makes register tiles of
// 8 x 8 elements:
//   C = alpha D + beta L R
// where L and R are read along their rows or down their columns (linked in). A step is three of these, for X with no more
// rows than columns; otherwise X is read the other way, and nothing is ever transposed in memory:
//   A = X X^T      B = b A + c A A      X <- a X + B X
// A and B are symmetric. SYMMETRIC: a tile above the diagonal is stored twice, what lies below is not computed.
// No workgroup memory: staging through it was 4 times slower on a software adapter, and 1 KiB is too little to pay elsewhere.
// The order of each sum is fixed: equal bits on every run. After Keller Jordan, https://kellerjordan.github.io/posts/muon.
//
// Rows of L, R and D are a whole number of quads (vec4f), zero behind the last column. A tile may read behind the last row,
// and gets whatever lies there; what comes of it is not stored.

#import newton-schulz/product-record
#import tile
#import store

override WORKGROUP_X: u32 = 8;
override WORKGROUP_Y: u32 = 8;
override SYMMETRIC: bool = false;
override ADD: bool = true;              // false: there is no D

@group(0) @binding(0) var<uniform> product: Product;
@group(0) @binding(1) var<storage, read> table: array<u32>;                    // where matrices begin, in elements
@group(0) @binding(2) var<storage, read> left: array<vec4f>;                   // L
@group(0) @binding(3) var<storage, read> right: array<vec4f>;                  // R
@group(0) @binding(4) var<storage, read> addend: array<vec4f>;                 // D
@group(0) @binding(5) var<storage, read_write> result: array<StoredElement>;   // C [rows, cols]

@compute @workgroup_size(WORKGROUP_X, WORKGROUP_Y)
fn multiply(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  let left_at = table[product.left + id.z] / 4u;
  let right_at = table[product.right + id.z] / 4u;
  let addend_at = table[product.addend + id.z] / 4u;
  let result_at = table[product.result + id.z];
  for (var row = id.y * 8u; row < product.rows; row += workgroups.y * WORKGROUP_Y * 8u) {
    for (var col = id.x * 8u; col < product.cols; col += workgroups.x * WORKGROUP_X * 8u) {
      if (SYMMETRIC && col < row) { continue; }
      var c = tile_product(left_at, right_at, row, col);
      for (var b = 0u; b < 4u; b++) {
        let block_row = row + (b >> 1u) * 4u;
        let quad = col / 4u + (b & 1u);
        if (block_row >= product.rows || quad * 4u >= product.cols) { continue; }
        let block = finished(c[b], addend_at, block_row, quad);
        store_block(result_at, block_row, quad, block);
        if (SYMMETRIC && col > row) { store_block(result_at, quad * 4u, block_row / 4u, transpose(block)); }
      }
    }
  }
}

// A block of 4 x 4 is a matrix whose columns, in WGSL's words, are the block's rows.
fn finished(sum: mat4x4f, addend_at: u32, row: u32, quad: u32) -> mat4x4f {
  if (!ADD) { return product.beta * sum; }
  let at = addend_at + row * product.addend_stride + quad;
  let d = mat4x4f(
    addend[at],
    addend[at + product.addend_stride],
    addend[at + 2u * product.addend_stride],
    addend[at + 3u * product.addend_stride],
  );
  return product.alpha * d + product.beta * sum;
}

// Rows and columns behind the last are not stored; a quad that is not full is filled up with zeros.
fn store_block(result_at: u32, row: u32, quad: u32, value: mat4x4f) {
  if (row >= product.rows || quad * 4u >= product.cols) { return; }
  var block = value;      // only what is in memory can be indexed everywhere
  for (var i = 0u; i < min(4u, product.rows - row); i++) {
    let exists = vec4u(quad * 4u) + vec4u(0u, 1u, 2u, 3u) < vec4u(product.cols);
    store_quad(result_at, row + i, quad, select(vec4f(), block[i], exists));
  }
}
