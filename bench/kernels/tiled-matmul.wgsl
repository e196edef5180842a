// The matrix kernel of textbooks: tiles of 8 x 8 of both factors in workgroup memory, one invocation makes one value.
//   y = x W^T

override ROWS: u32;
override IN: u32;
override OUT: u32;

@group(0) @binding(0) var<storage, read> x: array<f32>;                        // [ROWS, IN]
@group(0) @binding(1) var<storage, read> w: array<f32>;                        // [OUT, IN]
@group(0) @binding(2) var<storage, read_write> y: array<f32>;                  // [ROWS, OUT]

var<workgroup> wg_x: array<array<f32, 8>, 8>;
var<workgroup> wg_w: array<array<f32, 8>, 8>;

@compute @workgroup_size(8, 8)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_id) at: vec3u) {
  let row = tile.y * 8u + at.y;
  let out = tile.x * 8u + at.x;
  var sum = 0.0;
  for (var begin = 0u; begin < IN; begin += 8u) {
    wg_x[at.y][at.x] = select(0.0, x[row * IN + begin + at.x], (row < ROWS) & (begin + at.x < IN));
    wg_w[at.y][at.x] = select(0.0, w[(tile.x * 8u + at.y) * IN + begin + at.x], begin + at.x < IN);
    workgroupBarrier();
    for (var k = 0u; k < 8u; k++) { sum += wg_x[at.y][k] * wg_w[at.x][k]; }
    workgroupBarrier();
  }
  if (row < ROWS) {
    if (out < OUT) { y[row * OUT + out] = sum; }
  }
}
