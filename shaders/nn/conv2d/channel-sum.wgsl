// The gradient of a bias per channel. One workgroup sums one channel over all rows (samples) and pixels,
//   db[c] = sum over samples, pixels of dy[c]
// each invocation its share, then a tree of fixed order: equal bits on every run. Rows behind the batch have dy = 0.

override WORKGROUP_SIZE: u32 = 64;                    // a power of two
override ROWS: u32;
override CHANNELS: u32;
override PLANE: u32;
override STRIDE: u32;                                 // floats of a row
override ACCUMULATE: bool = false;

@group(0) @binding(0) var<storage, read> output_gradient: array<f32>;          // dy [ROWS, STRIDE]
@group(0) @binding(1) var<storage, read_write> bias_gradient: array<f32>;      // db [CHANNELS]

#import nn/lib/sum-of-all

@compute @workgroup_size(WORKGROUP_SIZE)
fn channel_sum(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
  let channel = workgroup.x + workgroup.y * 65535u;
  var sum = 0.0;
  if (channel < CHANNELS) {
    for (var row = 0u; row < ROWS; row++) {
      let begin = row * STRIDE + channel * PLANE;
      for (var i = lane; i < PLANE; i += WORKGROUP_SIZE) { sum += output_gradient[begin + i]; }
    }
  }
  let total = sum_of_all(lane, sum);
  if (lane == 0u) {
    if (channel < CHANNELS) { bias_gradient[channel] = select(total, bias_gradient[channel] + total, ACCUMULATE); }
  }
}
