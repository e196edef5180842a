// Normalization of segments of a row: a layer's tokens, or groups of channels. One invocation makes one segment of SIZE elements:
//   y = (x - mean) / sqrt(var + eps) w + b,  mean = sum x / SIZE,  var = sum (x - mean)^2 / SIZE
// and with CENTERED false  y = x / sqrt(sum x^2 / SIZE + eps) w.
// Ba et al.: Layer Normalization (2016); Wu, He: Group Normalization (2018); Zhang, Sennrich: RMS Normalization (2019).
// As torch.nn.LayerNorm, GroupNorm and RMSNorm. Linked in: whether there is a bias (bias/).

#import nn/lib/flat-index

override ROWS: u32;
override TOKENS: u32;
override WEIGHTS: u32;                                // of a token: features, or channels
override PLANE: u32;                                  // elements that share a weight
override GROUPS: u32;                                 // segments of a token
override STRIDE: u32;                                 // floats of a row (sample)
override CENTERED: bool = true;
override EPS: f32;
override SEGMENTS = TOKENS * GROUPS;                  // of a row
override SIZE = WEIGHTS / GROUPS * PLANE;             // of a segment

@group(0) @binding(0) var<storage, read> input: array<f32>;                    // x [ROWS, STRIDE]
@group(0) @binding(1) var<storage, read> weight: array<f32>;                   // w [WEIGHTS]
@group(0) @binding(2) var<storage, read_write> saved: array<f32>;              // (mean, 1 / deviation) [ROWS, SEGMENTS]
@group(0) @binding(3) var<storage, read_write> output: array<f32>;             // y [ROWS, STRIDE]

#import bias

@compute @workgroup_size(WORKGROUP_SIZE)
fn segment_norm_forward(@builtin(global_invocation_id) id: vec3u) {
  let index = flat_index(id);
  let row = index / SEGMENTS;
  if (row >= ROWS) { return; }
  let segment = index % SEGMENTS;
  let begin = row * STRIDE + segment * SIZE;
  var mean = 0.0;
  if (CENTERED) {
    var sum = 0.0;
    for (var i = begin; i < begin + SIZE; i++) { sum += input[i]; }
    mean = sum / f32(SIZE);
  }
  var squares = 0.0;
  for (var i = begin; i < begin + SIZE; i++) {
    let d = input[i] - mean;
    squares += d * d;
  }
  let scale = 1.0 / sqrt(squares / f32(SIZE) + EPS);
  let first = segment % GROUPS * SIZE;
  for (var i = 0u; i < SIZE; i++) {
    let w = (first + i) / PLANE;
    output[begin + i] = (input[begin + i] - mean) * scale * weight[w] + bias_of(w);
  }
  saved[2u * index] = mean;
  saved[2u * index + 1u] = scale;
  if (segment == 0u) {
    for (var i = SEGMENTS * SIZE; i < STRIDE; i++) { output[row * STRIDE + i] = 0.0; }
  }
}
