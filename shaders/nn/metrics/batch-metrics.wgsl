// Sums up a batch of classified tokens in one workgroup: mean loss, how many are right, in how many the label is among the K
// largest logits (of equal ones the first come first). Sums have a fixed order: equal bits on every run.

#import nn/lib/batch
#import nn/lib/row-outcome

override WORKGROUP_SIZE: u32 = 64;                    // a power of two
override TOKENS: u32;
override CLASSES: u32;
override STRIDE: u32;                                 // floats of a row of logits
override K: u32;

struct Record {
  loss: f32,      // mean over the tokens
  correct: u32,
  count: u32,     // tokens
  top_k: u32,
}

@group(0) @binding(0) var<uniform> batch: Batch;
@group(0) @binding(1) var<storage, read> outcomes: array<RowOutcome>;          // [rows, TOKENS]
@group(0) @binding(2) var<storage, read> logits: array<f32>;                   // [rows, STRIDE]
@group(0) @binding(3) var<storage, read> labels: array<u32>;                   // [rows, TOKENS]
@group(0) @binding(4) var<storage, read_write> records: array<Record>;         // [slots]

#import nn/lib/sum-of-all

@compute @workgroup_size(WORKGROUP_SIZE)
fn batch_metrics(@builtin(local_invocation_index) lane: u32) {
  let tokens = batch.count * TOKENS;
  var loss = 0.0;
  // Numbers below 2^24: exact as floats.
  var correct = 0.0;
  var top_k = 0.0;
  for (var i = lane; i < tokens; i += WORKGROUP_SIZE) {
    let label = labels[i];
    loss += outcomes[i].loss;
    correct += select(0.0, 1.0, outcomes[i].predicted == label);
    let begin = i / TOKENS * STRIDE + i % TOKENS * CLASSES;
    let own = logits[begin + label];
    var before = 0u;
    for (var c = 0u; c < CLASSES; c++) {
      let z = logits[begin + c];
      before += select(0u, 1u, (z > own) | ((z == own) & (c < label)));
    }
    top_k += select(0.0, 1.0, before < K);
  }
  let loss_sum = sum_of_all(lane, loss);
  let correct_sum = sum_of_all(lane, correct);
  let top_k_sum = sum_of_all(lane, top_k);
  if (lane == 0u) {
    records[batch.slot] = Record(loss_sum / f32(tokens), u32(correct_sum), tokens, u32(top_k_sum));
  }
}
