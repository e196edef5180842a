// A network of two dense layers, `[inputs] -> tanh [HIDDEN] -> softmax [CLASSES]`, over a whole batch.
//
//   forward    one invocation per sample:       h = tanh(x W1 + b1), p = softmax(h W2 + b2), loss = -log p_label
//   backward   one invocation per hidden unit:  its columns of W1 and row of W2; one more invocation for b2
//
// With delta = (p - onehot(label)) / samples, the gradient of the mean loss by the scores:
//
//   dW2[j,c] = sum_i h[i,j] delta[i,c]             db2[c] = sum_i delta[i,c]
//   dW1[k,j] = sum_i x[i,k] e[i,j]                 db1[j] = sum_i e[i,j]
//   e[i,j] = (1 - h[i,j]^2) sum_c W2[j,c] delta[i,c]
//
// Goodfellow, Bengio, Courville: Deep Learning, section 6.5. Matrices are row-major.

override SAMPLES: u32;
override HIDDEN: u32;
const INPUTS = 2u;
const CLASSES = 3u;

// Parameters: [INPUTS, HIDDEN], [HIDDEN], [HIDDEN, CLASSES], [CLASSES].
@group(0) @binding(0) var<storage, read> w1: array<f32>;
@group(0) @binding(1) var<storage, read> b1: array<f32>;
@group(0) @binding(2) var<storage, read> w2: array<f32>;
@group(0) @binding(3) var<storage, read> b2: array<f32>;

// Samples: [SAMPLES, INPUTS]; classes: [SAMPLES].
@group(1) @binding(0) var<storage, read> inputs: array<f32>;
@group(1) @binding(1) var<storage, read> labels: array<u32>;
// Between the kernels: [SAMPLES, HIDDEN + CLASSES + 1], h and delta and the loss of a sample.
@group(1) @binding(2) var<storage, read_write> batch: array<f32>;

// Gradients, as the parameters.
@group(2) @binding(0) var<storage, read_write> dw1: array<f32>;
@group(2) @binding(1) var<storage, read_write> db1: array<f32>;
@group(2) @binding(2) var<storage, read_write> dw2: array<f32>;
@group(2) @binding(3) var<storage, read_write> db2: array<f32>;

fn row(sample: u32) -> u32 {
  return sample * (HIDDEN + CLASSES + 1u);
}

@compute @workgroup_size(64)
fn forward(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x;
  if (i >= SAMPLES) { return; }
  let at = row(i);
  var scores = vec3f(b2[0], b2[1], b2[2]);
  for (var j = 0u; j < HIDDEN; j++) {
    var z = b1[j];
    for (var k = 0u; k < INPUTS; k++) { z += inputs[i * INPUTS + k] * w1[k * HIDDEN + j]; }
    // Beyond 10, tanh is 1 in float32, and some compilers' tanh is not a number.
    let h = tanh(clamp(z, -10.0, 10.0));
    batch[at + j] = h;
    scores += h * vec3f(w2[j * CLASSES], w2[j * CLASSES + 1u], w2[j * CLASSES + 2u]);
  }
  let shifted = scores - max(scores.x, max(scores.y, scores.z));
  let sum = dot(exp(shifted), vec3f(1));
  let label = labels[i];
  for (var c = 0u; c < CLASSES; c++) {
    batch[at + HIDDEN + c] = (exp(shifted[c]) / sum - f32(c == label)) / f32(SAMPLES);
  }
  batch[at + HIDDEN + CLASSES] = log(sum) - shifted[label];
}

@compute @workgroup_size(64)
fn backward(@builtin(global_invocation_id) id: vec3u) {
  let j = id.x;
  if (j > HIDDEN) { return; }
  var to_bias1 = 0.0;
  var to_w1 = array<f32, INPUTS>();
  var to_w2 = vec3f();
  let is_unit = j < HIDDEN;
  for (var i = 0u; i < SAMPLES; i++) {
    let at = row(i);
    let delta = vec3f(batch[at + HIDDEN], batch[at + HIDDEN + 1u], batch[at + HIDDEN + 2u]);
    // The bias of the second layer is a unit that is always 1.
    let h = select(1.0, batch[at + min(j, HIDDEN - 1u)], is_unit);
    to_w2 += h * delta;
    if (is_unit) {
      let e = (1.0 - h * h) * dot(vec3f(w2[j * CLASSES], w2[j * CLASSES + 1u], w2[j * CLASSES + 2u]), delta);
      to_bias1 += e;
      for (var k = 0u; k < INPUTS; k++) { to_w1[k] += inputs[i * INPUTS + k] * e; }
    }
  }
  for (var c = 0u; c < CLASSES; c++) {
    if (is_unit) { dw2[j * CLASSES + c] = to_w2[c]; } else { db2[c] = to_w2[c]; }
  }
  if (is_unit) {
    db1[j] = to_bias1;
    for (var k = 0u; k < INPUTS; k++) { dw1[k * HIDDEN + j] = to_w1[k]; }
  }
}
