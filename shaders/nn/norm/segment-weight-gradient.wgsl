// Normalization of segments, backward to its parameters. One workgroup makes one weight, each invocation its share of the
// elements, then a tree of fixed order: equal bits on every run. With z = (x - mean) / deviation:
//   dw = sum dy z,  db = sum dy
// Linked in: where the gradient of the bias goes, if there is a bias (bias-gradient/).

override WORKGROUP_SIZE: u32 = 64;                    // a power of two

override ROWS: u32;
override TOKENS: u32;
override WEIGHTS: u32;                                // of a token: features, or channels
override PLANE: u32;                                  // elements that share a weight
override GROUPS: u32;                                 // segments of a token
override STRIDE: u32;                                 // floats of a row (sample)
override ACCUMULATE: bool = false;
override SEGMENTS = TOKENS * GROUPS;                  // of a row

@group(0) @binding(0) var<storage, read> output_gradient: array<f32>;          // dy [ROWS, STRIDE]
@group(0) @binding(1) var<storage, read_write> weight_gradient: array<f32>;    // dw [WEIGHTS]
// binding 2: bias-gradient/
@group(0) @binding(3) var<storage, read> input: array<f32>;                    // x [ROWS, STRIDE]
@group(0) @binding(4) var<storage, read> saved: array<f32>;                    // (mean, 1 / deviation) [ROWS, SEGMENTS]

#import bias-gradient
#import nn/lib/sum-of-all

@compute @workgroup_size(WORKGROUP_SIZE)
fn segment_norm_weight_gradient(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let w = workgroup.x + workgroup.y * 65535u;
  var sum = 0.0;
  var product = 0.0;
  if (w < WEIGHTS) {
    for (var i = lane; i < ROWS * TOKENS * PLANE; i += WORKGROUP_SIZE) {
      let row = i / (TOKENS * PLANE);
      let token = i / PLANE % TOKENS;
      let segment = row * SEGMENTS + token * GROUPS + w / (WEIGHTS / GROUPS);
      let at = row * STRIDE + (token * WEIGHTS + w) * PLANE + i % PLANE;
      let dy = output_gradient[at];
      sum += dy;
      product += dy * (input[at] - saved[2u * segment]) * saved[2u * segment + 1u];
    }
  }
  let dw = sum_of_all(lane, product);
  let db = sum_of_all(lane, sum);
  if (lane == 0u) {
    if (w < WEIGHTS) {
      weight_gradient[w] = select(dw, weight_gradient[w] + dw, ACCUMULATE);
      store_bias_gradient(w, db);
    }
  }
}
