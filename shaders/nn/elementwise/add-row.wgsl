// Adds the same row to every sample, as a positional embedding does. One invocation makes one feature: y[r] = x[r] + p

#import nn/lib/flat-index

override ROWS: u32;
override FEATURES: u32;
override STRIDE: u32;                                 // floats of a row

@group(0) @binding(0) var<storage, read> input: array<f32>;                    // x [ROWS, STRIDE]
@group(0) @binding(1) var<storage, read> addend: array<f32>;                   // p [FEATURES]
@group(0) @binding(2) var<storage, read_write> output: array<f32>;             // y [ROWS, STRIDE]

@compute @workgroup_size(WORKGROUP_SIZE)
fn add_row(@builtin(global_invocation_id) id: vec3u) {
  let at = flat_index(id);
  if (at >= ROWS * STRIDE) { return; }
  let i = at % STRIDE;
  output[at] = select(0.0, input[at] + addend[min(i, FEATURES - 1u)], i < FEATURES);
}
