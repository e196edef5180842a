// Max pooling, forward. One invocation makes one value:
//   y[c, v, u] = max of x[c] over the window of (v, u), padding never being the largest
// Layouts as in torch.nn.MaxPool2d.

#import nn/lib/flat-index

override ROWS: u32;
override CHANNELS: u32;
override IN_HEIGHT: u32;
override IN_WIDTH: u32;
override IN_STRIDE: u32;                              // floats of a row (sample)
override OUT_HEIGHT: u32;
override OUT_WIDTH: u32;
override OUT_STRIDE: u32;
override KERNEL_Y: u32;
override KERNEL_X: u32;
override STRIDE_Y: u32;
override STRIDE_X: u32;
override PAD_Y: u32;
override PAD_X: u32;

@group(0) @binding(0) var<storage, read> input: array<f32>;                    // x [ROWS, IN_STRIDE]
@group(0) @binding(1) var<storage, read_write> output: array<f32>;             // y [ROWS, OUT_STRIDE]

#import nn/pool2d/window
#import nn/pool2d/maximum

@compute @workgroup_size(WORKGROUP_SIZE)
fn max_pool_forward(@builtin(global_invocation_id) id: vec3u) {
  let at = flat_index(id);
  let row = at / OUT_STRIDE;
  if (row >= ROWS) { return; }
  let feature = at % OUT_STRIDE;
  let channel = feature / (OUT_HEIGHT * OUT_WIDTH);
  if (channel >= CHANNELS) {
    output[at] = 0.0;
    return;
  }
  let pixel = feature % (OUT_HEIGHT * OUT_WIDTH);
  let plane = row * IN_STRIDE + channel * IN_HEIGHT * IN_WIDTH;
  output[at] = maximum_of(plane, window_of(pixel / OUT_WIDTH, pixel % OUT_WIDTH)).value;
}
