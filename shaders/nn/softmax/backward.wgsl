// Softmax, backward. One invocation makes one token (of one row), from the output y of the forward pass:
//   dx = y (dy - sum y dy)

#import nn/lib/flat-index

override ROWS: u32;
override TOKENS: u32;
override FEATURES: u32;                               // of a token
override STRIDE: u32;                                 // floats of a row (sample)

@group(0) @binding(0) var<storage, read> output_gradient: array<f32>;          // dy [ROWS, STRIDE]
@group(0) @binding(1) var<storage, read> output: array<f32>;                   // y [ROWS, STRIDE]
@group(0) @binding(2) var<storage, read_write> input_gradient: array<f32>;     // dx [ROWS, STRIDE]

@compute @workgroup_size(WORKGROUP_SIZE)
fn softmax_backward(@builtin(global_invocation_id) id: vec3u) {
  let segment = flat_index(id);
  if (segment >= ROWS * TOKENS) { return; }
  let row = segment / TOKENS;
  let begin = row * STRIDE + segment % TOKENS * FEATURES;
  var sum = 0.0;
  for (var i = begin; i < begin + FEATURES; i++) { sum += output[i] * output_gradient[i]; }
  for (var i = begin; i < begin + FEATURES; i++) { input_gradient[i] = output[i] * (output_gradient[i] - sum); }
  if (segment % TOKENS == 0u) {
    for (var i = TOKENS * FEATURES; i < STRIDE; i++) { input_gradient[row * STRIDE + i] = 0.0; }
  }
}
