// Sums up one batch. A single workgroup: each invocation adds every WORKGROUP_SIZE-th row, then a tree of fixed order.
//   record[slot] = (mean loss, number of rows whose predicted class is the label, count)

#import nn/lib/batch
#import nn/lib/row-outcome

override WORKGROUP_SIZE: u32 = 64;      // a power of two

struct BatchRecord {
  loss: f32,          // mean over the batch, in nats
  correct: u32,
  count: u32,
  padding: u32,
}

@group(0) @binding(0) var<uniform> batch: Batch;
@group(0) @binding(1) var<storage, read> outcomes: array<RowOutcome>;          // [rows]
@group(0) @binding(2) var<storage, read> labels: array<u32>;                   // [rows]
@group(0) @binding(3) var<storage, read_write> records: array<BatchRecord>;    // [slots]

struct Sum {
  loss: f32,
  correct: u32,
}

var<workgroup> wg_sums: array<Sum, WORKGROUP_SIZE>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn batch_record(@builtin(local_invocation_index) lane: u32) {
  var sum = Sum(0.0, 0u);
  for (var row = lane; row < batch.count; row += WORKGROUP_SIZE) {
    let outcome = outcomes[row];
    sum.loss += outcome.loss;
    sum.correct += select(0u, 1u, outcome.predicted == labels[row]);
  }
  wg_sums[lane] = sum;
  for (var half = WORKGROUP_SIZE / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) {
      wg_sums[lane].loss += wg_sums[lane + half].loss;
      wg_sums[lane].correct += wg_sums[lane + half].correct;
    }
  }
  if (lane == 0u) {
    records[batch.slot] = BatchRecord(wg_sums[0].loss / f32(batch.count), wg_sums[0].correct, batch.count, 0u);
  }
}
