// Softmax and cross-entropy, forward and backward at once. One invocation makes one token (of one row) of CLASSES logits z with
// label c; p = softmax(z), s is the smoothing, W the sum of w_c over the batch's tokens, w = 1 without class weights:
//   loss = ((1 - s) w_c (-log p_c) + s / CLASSES sum_j w_j (-log p_j)) / W
//   dz_j = (p_j ((1 - s) w_c + s / CLASSES sum w) - (1 - s) w_c [j = c] - s / CLASSES w_j) / W
// so that the sum over the batch is torch.nn.CrossEntropyLoss. An outcome's loss is that times the number of tokens, so that their
// mean is it. Rows behind the batch get dz = 0. Linked in: the weights of classes (class-weights/).

#import nn/lib/flat-index
#import nn/lib/batch
#import nn/lib/row-outcome

override ROWS: u32;
override TOKENS: u32;
override CLASSES: u32;
override STRIDE: u32;                                 // floats of a row (sample)
override SMOOTHING: f32 = 0.0;

@group(0) @binding(0) var<uniform> batch: Batch;
@group(0) @binding(1) var<storage, read> logits: array<f32>;                   // z [ROWS, STRIDE]
@group(0) @binding(2) var<storage, read> labels: array<u32>;                   // c [ROWS, TOKENS]
@group(0) @binding(3) var<storage, read_write> logits_gradient: array<f32>;    // dz [ROWS, STRIDE]
@group(0) @binding(4) var<storage, read_write> outcomes: array<RowOutcome>;    // [ROWS, TOKENS]

#import class-weights

@compute @workgroup_size(WORKGROUP_SIZE)
fn cross_entropy(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let total = total_weight(batch.count * TOKENS, lane);
  let index = flat_index(id);
  let row = index / TOKENS;
  if (row >= ROWS) { return; }
  let begin = row * STRIDE + index % TOKENS * CLASSES;
  if (index % TOKENS == 0u) {
    for (var i = TOKENS * CLASSES; i < STRIDE; i++) { logits_gradient[row * STRIDE + i] = 0.0; }
  }
  if (row >= batch.count) {
    for (var c = 0u; c < CLASSES; c++) { logits_gradient[begin + c] = 0.0; }
    outcomes[index] = RowOutcome(0.0, CLASSES);
    return;
  }

  var largest = logits[begin];
  var predicted = 0u;                       // the first of equal logits
  // A logit that is NaN makes all of the row NaN; comparisons and not every exp() say so.
  var broken = 0.0;
  for (var c = 0u; c < CLASSES; c++) {
    let z = logits[begin + c];
    broken = select(broken, z, (bitcast<u32>(z) & 0x7fffffffu) > 0x7f800000u);
    let larger = z > largest;
    largest = select(largest, z, larger);
    predicted = select(predicted, c, larger);
  }
  var sum = 0.0;
  // Sums of w and of w (z - max), for the smoothed part.
  var weights = 0.0;
  var weighted = 0.0;
  for (var c = 0u; c < CLASSES; c++) {
    let z = logits[begin + c] - largest;
    sum += exp(z);
    weights += class_weight(c);
    weighted += class_weight(c) * z;
  }
  let label = labels[index];
  let tokens = f32(batch.count * TOKENS);
  let sharp = (1.0 - SMOOTHING) * class_weight(label);
  let spread = SMOOTHING / f32(CLASSES);
  let share = (sharp + spread * weights) / sum;
  for (var c = 0u; c < CLASSES; c++) {
    let target_share = select(0.0, sharp, c == label) + spread * class_weight(c);
    logits_gradient[begin + c] = (share * exp(logits[begin + c] - largest) - target_share) / total + broken;
  }
  // -log p_j = log(sum) - (z_j - max): no division and no log of a probability that has become 0.
  var loss = sharp * (log(sum) + (largest - logits[begin + label]));
  if (SMOOTHING > 0.0) { loss += spread * (weights * log(sum) - weighted); }
  outcomes[index] = RowOutcome(loss * (tokens / total) + broken, predicted);
}
