// Batch normalization by the running statistics. One invocation makes one lane:
//   y = (x - running mean) / sqrt(running var + eps) w + b,  or max(y, 0) with RELU
// As torch.nn.BatchNorm2d in evaluation. Linked in: how many elements are taken at a time (lanes/).

#import nn/lib/flat-index
#import lanes

override ROWS: u32;
override CHANNELS: u32;
override PLANE: u32;                                  // lanes of a channel
override STRIDE: u32;                                 // lanes of a row (sample)
override EPS: f32;
override RELU: bool = false;

@group(0) @binding(0) var<storage, read> input: array<Lane>;                   // x [ROWS, STRIDE]
@group(0) @binding(1) var<storage, read> weight: array<f32>;                   // w [CHANNELS]
@group(0) @binding(2) var<storage, read> bias: array<f32>;                     // b [CHANNELS]
@group(0) @binding(3) var<storage, read> running_mean: array<f32>;             // [CHANNELS]
@group(0) @binding(4) var<storage, read> running_var: array<f32>;              // [CHANNELS]
@group(0) @binding(5) var<storage, read_write> output: array<Lane>;            // y [ROWS, STRIDE]

@compute @workgroup_size(WORKGROUP_SIZE)
fn batch_norm_evaluate(@builtin(global_invocation_id) id: vec3u) {
  let at = flat_index(id);
  if (at >= ROWS * STRIDE) { return; }
  let channel = min(at % STRIDE / PLANE, CHANNELS - 1u);
  let y = (input[at] - running_mean[channel]) / sqrt(running_var[channel] + EPS) * weight[channel] + bias[channel];
  // By comparison and not by max(): max(NaN, 0) is 0.
  output[at] = select(y, Lane(), (LaneMask(RELU) & (y < Lane())) | LaneMask(at % STRIDE >= CHANNELS * PLANE));
}
