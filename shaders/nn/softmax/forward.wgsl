// Softmax, forward. One invocation makes one token (of one row):
//   y = exp(x - max x) / sum exp(x - max x)

#import nn/lib/flat-index

override ROWS: u32;
override TOKENS: u32;
override FEATURES: u32;                               // of a token
override STRIDE: u32;                                 // floats of a row (sample)

@group(0) @binding(0) var<storage, read> input: array<f32>;                    // x [ROWS, STRIDE]
@group(0) @binding(1) var<storage, read_write> output: array<f32>;             // y [ROWS, STRIDE]

@compute @workgroup_size(WORKGROUP_SIZE)
fn softmax_forward(@builtin(global_invocation_id) id: vec3u) {
  let segment = flat_index(id);
  if (segment >= ROWS * TOKENS) { return; }
  let row = segment / TOKENS;
  let begin = row * STRIDE + segment % TOKENS * FEATURES;
  var largest = input[begin];
  // A NaN makes all of the token NaN; max() and not every exp() say so.
  var broken = 0.0;
  for (var i = 0u; i < FEATURES; i++) {
    let x = input[begin + i];
    largest = max(largest, x);
    broken = select(broken, x, (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u);
  }
  var sum = 0.0;
  for (var i = 0u; i < FEATURES; i++) {
    let e = exp(input[begin + i] - largest);
    output[begin + i] = e;
    sum += e;
  }
  for (var i = 0u; i < FEATURES; i++) { output[begin + i] = output[begin + i] / sum + broken; }
  if (segment % TOKENS == 0u) {
    for (var i = TOKENS * FEATURES; i < STRIDE; i++) { output[row * STRIDE + i] = 0.0; }
  }
}
