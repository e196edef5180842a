// Batch normalization, backward. One workgroup makes one channel, in two passes over it; with z = (x - mean) / deviation:
//   db = sum dy,  dw = sum dy z,  dx = w / deviation (dy - (db + z dw) / n)
// over the n pixels of the batch's samples; rows behind them get 0. Where a ReLU follows, dy counts where its output is not 0.
// Sums have a fixed order: equal bits on every run. Linked in: whether a ReLU follows
// (relu-mask, no-mask), how many elements are taken at a time (lanes/).

#import nn/lib/batch
#import lanes

override WORKGROUP_SIZE: u32 = 64;                    // a power of two
override ACROSS: u32;                                 // of them, how many take pixels side by side; the others take other rows
override ROWS: u32;
override CHANNELS: u32;
override PLANE: u32;                                  // lanes of a channel
override STRIDE: u32;                                 // lanes of a row (sample)
override ACCUMULATE: bool = false;

@group(0) @binding(0) var<uniform> batch: Batch;
@group(0) @binding(1) var<storage, read> output_gradient: array<Lane>;         // dy [ROWS, STRIDE]
@group(0) @binding(2) var<storage, read> input: array<Lane>;                   // x [ROWS, STRIDE]
@group(0) @binding(3) var<storage, read> weight: array<f32>;                   // w [CHANNELS]
@group(0) @binding(4) var<storage, read> saved: array<f32>;                    // [means, 1 / deviations], CHANNELS each
@group(0) @binding(5) var<storage, read_write> input_gradient: array<Lane>;    // dx [ROWS, STRIDE]
@group(0) @binding(6) var<storage, read_write> weight_gradient: array<f32>;    // dw [CHANNELS]
@group(0) @binding(7) var<storage, read_write> bias_gradient: array<f32>;      // db [CHANNELS]

#import mask
#import nn/lib/sum-of-all

@compute @workgroup_size(WORKGROUP_SIZE)
fn batch_norm_backward(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
  let channel = workgroup.x;
  let first_row = lane / ACROSS;
  let first_pixel = lane % ACROSS;
  let down = WORKGROUP_SIZE / ACROSS;
  let begin = channel * PLANE;
  let n = f32(batch.count * PLANE * WIDTH);
  let mean = saved[channel];
  let scale = saved[CHANNELS + channel];

  var b = 0.0;
  var w = 0.0;
  for (var row = first_row; row < batch.count; row += down) {
    var part_b = Lane();
    var part_w = Lane();
    for (var i = first_pixel; i < PLANE; i += ACROSS) {
      let at = row * STRIDE + begin + i;
      let dy = masked(output_gradient[at], at);
      part_b += dy;
      part_w += dy * (input[at] - mean);
    }
    b += lane_sum(part_b);
    w += lane_sum(part_w);
  }
  let db = sum_of_all(lane, b);
  let dw = sum_of_all(lane, w) * scale;

  let factor = weight[channel] * scale;
  let mean_db = db / n;
  let slope = dw * scale / n;
  for (var row = first_row; row < ROWS; row += down) {
    let counts = row < batch.count;
    for (var i = first_pixel; i < PLANE; i += ACROSS) {
      let at = row * STRIDE + begin + i;
      let dx = factor * (masked(output_gradient[at], at) - mean_db - (input[at] - mean) * slope);
      input_gradient[at] = select(Lane(), dx, counts);
    }
  }
  if (channel == 0u) {
    for (var row = lane; row < ROWS; row += WORKGROUP_SIZE) {
      for (var i = CHANNELS * PLANE; i < STRIDE; i++) { input_gradient[row * STRIDE + i] = Lane(); }
    }
  }
  if (lane == 0u) {
    weight_gradient[channel] = select(dw, weight_gradient[channel] + dw, ACCUMULATE);
    bias_gradient[channel] = select(db, bias_gradient[channel] + db, ACCUMULATE);
  }
}
