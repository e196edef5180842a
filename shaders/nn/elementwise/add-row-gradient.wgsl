// The gradient of a row that was added to every sample. One invocation makes one feature, summing the rows in their order:
//   dp = sum over rows of dy

#import nn/lib/flat-index

override ROWS: u32;
override FEATURES: u32;
override STRIDE: u32;                                 // floats of a row
override ACCUMULATE: bool = false;

@group(0) @binding(0) var<storage, read> output_gradient: array<f32>;          // dy [ROWS, STRIDE]
@group(0) @binding(1) var<storage, read_write> row_gradient: array<f32>;       // dp [FEATURES]

@compute @workgroup_size(WORKGROUP_SIZE)
fn add_row_gradient(@builtin(global_invocation_id) id: vec3u) {
  let i = flat_index(id);
  if (i >= FEATURES) { return; }
  var sum = 0.0;
  for (var row = 0u; row < ROWS; row++) { sum += output_gradient[row * STRIDE + i]; }
  row_gradient[i] = select(sum, row_gradient[i] + sum, ACCUMULATE);
}
