// Sums up a batch in one workgroup: its mean loss. Sums have a fixed order: equal bits on every run.

#import nn/lib/batch
#import nn/lib/row-outcome

override WORKGROUP_SIZE: u32 = 64;                    // a power of two
override TOKENS: u32;

struct Record {
  loss: f32,      // mean over the tokens
  correct: u32,   // 0: there is nothing to be right
  count: u32,     // tokens
  top_k: u32,     // 0
}

@group(0) @binding(0) var<uniform> batch: Batch;
@group(0) @binding(1) var<storage, read> outcomes: array<RowOutcome>;          // [rows, TOKENS]
@group(0) @binding(2) var<storage, read_write> records: array<Record>;         // [slots]

#import nn/lib/sum-of-all

@compute @workgroup_size(WORKGROUP_SIZE)
fn loss_record(@builtin(local_invocation_index) lane: u32) {
  let tokens = batch.count * TOKENS;
  var loss = 0.0;
  for (var i = lane; i < tokens; i += WORKGROUP_SIZE) { loss += outcomes[i].loss; }
  let sum = sum_of_all(lane, loss);
  if (lane == 0u) { records[batch.slot] = Record(sum / f32(tokens), 0u, tokens, 0u); }
}
