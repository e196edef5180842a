// Sums the shares of a weight gradient in their order. One invocation sums one weight or one bias:
//   dW = sum over shares,  db likewise,  added to what is there with ACCUMULATE
// Linked in: where the gradient of the bias goes, if there is a bias (bias-gradient/).

#import nn/lib/flat-index

override SHARES: u32;
override WEIGHTS: u32;
override BIASES: u32;                                 // entries of db in a share, also where nobody asks for db
override ACCUMULATE: bool = false;

@group(0) @binding(0) var<storage, read> sums: array<f32>;                     // [SHARES, WEIGHTS + BIASES]
@group(0) @binding(1) var<storage, read_write> weight_gradient: array<f32>;    // dW [WEIGHTS]

#import bias-gradient

@compute @workgroup_size(WORKGROUP_SIZE)
fn conv2d_weight_gradient_sum(@builtin(global_invocation_id) id: vec3u) {
  let i = flat_index(id);
  if (i >= WEIGHTS + BIASES) { return; }
  var sum = 0.0;
  for (var at = i; at < SHARES * (WEIGHTS + BIASES); at += WEIGHTS + BIASES) { sum += sums[at]; }
  if (i < WEIGHTS) {
    if (ACCUMULATE) { sum += weight_gradient[i]; }
    weight_gradient[i] = sum;
  } else {
    store_bias_gradient(i - WEIGHTS, sum);
  }
}
