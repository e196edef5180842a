// One invocation sums the gradient of one weight over the rows:  dweight = sum of dy x.  Rows behind the batch have dy = 0.

override ROWS: u32;
override FEATURES: u32;
override QUADS: u32;      // of a row

@group(0) @binding(0) var<storage, read> output_gradient: array<f32>;    // dy [ROWS, 4 QUADS]
@group(0) @binding(1) var<storage, read> input: array<f32>;              // x [ROWS, 4 QUADS]
@group(0) @binding(2) var<storage, read_write> gradient: array<f32>;     // dweight [FEATURES]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= FEATURES) { return; }
  var sum = 0.0;
  for (var row = 0u; row < ROWS; row++) {
    sum += output_gradient[row * 4u * QUADS + id.x] * input[row * 4u * QUADS + id.x];
  }
  gradient[id.x] = sum;
}
