// A loss of each feature, forward and backward at once. One workgroup makes one row (sample), for n samples in the batch:
//   loss = sum over features of f(x, t) / FEATURES,  dx = f'(x, t) / (n FEATURES)
// so that the mean of the batch's losses is the mean over all its features, and dx its gradient. Rows behind the batch get dx = 0.
// Linked in: f and its derivative by x (kind/).

#import nn/lib/batch
#import nn/lib/row-outcome

override WORKGROUP_SIZE: u32 = 64;                    // a power of two
override ROWS: u32;
override FEATURES: u32;
override STRIDE: u32;                                 // floats of a row

@group(0) @binding(0) var<uniform> batch: Batch;
@group(0) @binding(1) var<storage, read> prediction: array<f32>;               // x [ROWS, STRIDE]
@group(0) @binding(2) var<storage, read> wanted: array<f32>;                   // t [ROWS, STRIDE]
@group(0) @binding(3) var<storage, read_write> prediction_gradient: array<f32>;  // dx [ROWS, STRIDE]
@group(0) @binding(4) var<storage, read_write> outcomes: array<RowOutcome>;    // [ROWS]

#import kind
#import nn/lib/sum-of-all

@compute @workgroup_size(WORKGROUP_SIZE)
fn elementwise_loss(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = workgroup.x;
  let counts = row < batch.count;
  let n = f32(batch.count * FEATURES);
  var sum = 0.0;
  for (var i = lane; i < STRIDE; i += WORKGROUP_SIZE) {
    let at = row * STRIDE + i;
    let x = prediction[at];
    let t = wanted[at];
    let used = counts & (i < FEATURES);
    sum += select(0.0, loss_of(x, t), used);
    prediction_gradient[at] = select(0.0, slope_of(x, t) / n, used);
  }
  let loss = sum_of_all(lane, sum) / f32(FEATURES);
  if (lane == 0u) { outcomes[row] = RowOutcome(loss, 0u); }
}
