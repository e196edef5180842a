// A linear layer with softmax and cross-entropy, over a batch: the head on top of a frozen network.
//
//   forward    one invocation per sample:   p = softmax(x W + b), loss = -log p_label
//   backward   one invocation per feature:  its row of W; one more invocation for b
//
// With delta = (p - onehot(label)) / samples, the gradient of the mean loss by the scores:
//
//   dW[f,c] = sum_i x[i,f] delta[i,c]              db[c] = sum_i delta[i,c]
//
// Goodfellow, Bengio, Courville: Deep Learning, section 6.2.2.3. Matrices are row-major.

override SAMPLES: u32;
override FEATURES: u32;
const CLASSES = 10u;

// Parameters: [FEATURES, CLASSES], [CLASSES].
@group(0) @binding(0) var<storage, read> weight: array<f32>;
@group(0) @binding(1) var<storage, read> bias: array<f32>;
// Features: [SAMPLES, FEATURES]; classes: [SAMPLES].
@group(0) @binding(2) var<storage, read> features: array<f32>;
@group(0) @binding(3) var<storage, read> labels: array<u32>;
// Between the kernels: [SAMPLES, CLASSES + 1], delta and the loss of a sample.
@group(0) @binding(4) var<storage, read_write> batch: array<f32>;
// Gradients, as the parameters.
@group(0) @binding(5) var<storage, read_write> weight_gradient: array<f32>;
@group(0) @binding(6) var<storage, read_write> bias_gradient: array<f32>;

@compute @workgroup_size(64)
fn forward(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x;
  if (i >= SAMPLES) { return; }
  var scores: array<f32, CLASSES>;
  for (var c = 0u; c < CLASSES; c++) { scores[c] = bias[c]; }
  for (var f = 0u; f < FEATURES; f++) {
    let x = features[i * FEATURES + f];
    for (var c = 0u; c < CLASSES; c++) { scores[c] += x * weight[f * CLASSES + c]; }
  }
  var highest = scores[0];
  for (var c = 1u; c < CLASSES; c++) { highest = max(highest, scores[c]); }
  var sum = 0.0;
  for (var c = 0u; c < CLASSES; c++) { sum += exp(scores[c] - highest); }
  let label = labels[i];
  let at = i * (CLASSES + 1u);
  for (var c = 0u; c < CLASSES; c++) {
    batch[at + c] = (exp(scores[c] - highest) / sum - f32(c == label)) / f32(SAMPLES);
  }
  batch[at + CLASSES] = log(sum) + highest - scores[label];
}

@compute @workgroup_size(64)
fn backward(@builtin(global_invocation_id) id: vec3u) {
  let f = id.x;
  if (f > FEATURES) { return; }
  let is_feature = f < FEATURES;
  var sums: array<f32, CLASSES>;
  for (var i = 0u; i < SAMPLES; i++) {
    // The bias belongs to a feature that is always 1.
    let x = select(1.0, features[i * FEATURES + min(f, FEATURES - 1u)], is_feature);
    for (var c = 0u; c < CLASSES; c++) { sums[c] += x * batch[i * (CLASSES + 1u) + c]; }
  }
  for (var c = 0u; c < CLASSES; c++) {
    if (is_feature) { weight_gradient[f * CLASSES + c] = sums[c]; } else { bias_gradient[c] = sums[c]; }
  }
}
