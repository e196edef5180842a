// Batch normalization, training. One workgroup makes one channel, in three passes over it:
//   mean = sum x / n,  var = sum (x - mean)^2 / n,  y = (x - mean) / sqrt(var + eps) w + b,  or max(y, 0) with RELU
// n counts the samples of the batch only. The running statistics move by momentum m, the variance unbiased:
//   running <- (1 - m) running + m (mean | var n / (n - 1));   one value alone has no variance, and leaves the running one
// Ioffe, Szegedy: Batch Normalization (2015); as torch.nn.BatchNorm2d. Sums have a fixed order: equal bits on every run.
// Linked in: how many elements are taken at a time (lanes/).

#import nn/lib/batch
#import lanes

override WORKGROUP_SIZE: u32 = 64;                    // a power of two
override ACROSS: u32;                                 // of them, how many take pixels side by side; the others take other rows
override ROWS: u32;
override CHANNELS: u32;
override PLANE: u32;                                  // lanes of a channel
override STRIDE: u32;                                 // lanes of a row (sample)
override EPS: f32;
override MOMENTUM: f32;
override RELU: bool = false;

@group(0) @binding(0) var<uniform> batch: Batch;
@group(0) @binding(1) var<storage, read> input: array<Lane>;                   // x [ROWS, STRIDE]
@group(0) @binding(2) var<storage, read> weight: array<f32>;                   // w [CHANNELS]
@group(0) @binding(3) var<storage, read> bias: array<f32>;                     // b [CHANNELS]
@group(0) @binding(4) var<storage, read_write> running_mean: array<f32>;       // [CHANNELS]
@group(0) @binding(5) var<storage, read_write> running_var: array<f32>;        // [CHANNELS]
@group(0) @binding(6) var<storage, read_write> saved: array<f32>;              // [means, 1 / deviations], CHANNELS each
@group(0) @binding(7) var<storage, read_write> output: array<Lane>;            // y [ROWS, STRIDE]

#import nn/lib/sum-of-all

@compute @workgroup_size(WORKGROUP_SIZE)
fn batch_norm_forward(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
  let channel = workgroup.x;
  let first_row = lane / ACROSS;
  let first_pixel = lane % ACROSS;
  let down = WORKGROUP_SIZE / ACROSS;
  let begin = channel * PLANE;
  let n = f32(batch.count * PLANE * WIDTH);

  var sum = 0.0;
  for (var row = first_row; row < batch.count; row += down) {
    var part = Lane();
    for (var i = first_pixel; i < PLANE; i += ACROSS) { part += input[row * STRIDE + begin + i]; }
    sum += lane_sum(part);
  }
  let mean = sum_of_all(lane, sum) / n;

  var squares = 0.0;
  for (var row = first_row; row < batch.count; row += down) {
    var part = Lane();
    for (var i = first_pixel; i < PLANE; i += ACROSS) {
      let d = input[row * STRIDE + begin + i] - mean;
      part += d * d;
    }
    squares += lane_sum(part);
  }
  let variance = sum_of_all(lane, squares) / n;
  let scale = 1.0 / sqrt(variance + EPS);

  let w = weight[channel] * scale;
  let b = bias[channel];
  for (var row = first_row; row < ROWS; row += down) {
    for (var i = first_pixel; i < PLANE; i += ACROSS) {
      let at = row * STRIDE + begin + i;
      let y = (input[at] - mean) * w + b;
      // By comparison and not by max(): max(NaN, 0) is 0.
      output[at] = select(y, Lane(), LaneMask(RELU) & (y < Lane()));
    }
  }
  if (channel == 0u) {
    for (var row = lane; row < ROWS; row += WORKGROUP_SIZE) {
      for (var i = CHANNELS * PLANE; i < STRIDE; i++) { output[row * STRIDE + i] = Lane(); }
    }
  }
  if (lane == 0u) {
    saved[channel] = mean;
    saved[CHANNELS + channel] = scale;
    running_mean[channel] += MOMENTUM * (mean - running_mean[channel]);
    if (n > 1.0) { running_var[channel] += MOMENTUM * (variance * n / (n - 1.0) - running_var[channel]); }
  }
}
