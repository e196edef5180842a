// Normalization of segments, backward to its input. One invocation makes one segment; with z = (x - mean) / deviation, g = w dy:
//   dx = (g - sum g / SIZE - z sum (g z) / SIZE) / deviation,  without the first sum where CENTERED is false

#import nn/lib/flat-index

override ROWS: u32;
override TOKENS: u32;
override WEIGHTS: u32;                                // of a token: features, or channels
override PLANE: u32;                                  // elements that share a weight
override GROUPS: u32;                                 // segments of a token
override STRIDE: u32;                                 // floats of a row (sample)
override CENTERED: bool = true;
override SEGMENTS = TOKENS * GROUPS;                  // of a row
override SIZE = WEIGHTS / GROUPS * PLANE;             // of a segment

@group(0) @binding(0) var<storage, read> output_gradient: array<f32>;          // dy [ROWS, STRIDE]
@group(0) @binding(1) var<storage, read> input: array<f32>;                    // x [ROWS, STRIDE]
@group(0) @binding(2) var<storage, read> weight: array<f32>;                   // w [WEIGHTS]
@group(0) @binding(3) var<storage, read> saved: array<f32>;                    // (mean, 1 / deviation) [ROWS, SEGMENTS]
@group(0) @binding(4) var<storage, read_write> input_gradient: array<f32>;     // dx [ROWS, STRIDE]

@compute @workgroup_size(WORKGROUP_SIZE)
fn segment_norm_input_gradient(@builtin(global_invocation_id) id: vec3u) {
  let index = flat_index(id);
  let row = index / SEGMENTS;
  if (row >= ROWS) { return; }
  let segment = index % SEGMENTS;
  let begin = row * STRIDE + segment * SIZE;
  let first = segment % GROUPS * SIZE;
  let mean = saved[2u * index];
  let scale = saved[2u * index + 1u];
  var sum = 0.0;
  var product = 0.0;
  for (var i = 0u; i < SIZE; i++) {
    let g = output_gradient[begin + i] * weight[(first + i) / PLANE];
    sum += g;
    product += g * (input[begin + i] - mean);
  }
  let shift = select(0.0, sum / f32(SIZE), CENTERED);
  let slope = product * scale * scale / f32(SIZE);
  for (var i = 0u; i < SIZE; i++) {
    let g = output_gradient[begin + i] * weight[(first + i) / PLANE];
    input_gradient[begin + i] = scale * (g - shift - (input[begin + i] - mean) * slope);
  }
  if (segment == 0u) {
    for (var i = SEGMENTS * SIZE; i < STRIDE; i++) { input_gradient[row * STRIDE + i] = 0.0; }
  }
}
