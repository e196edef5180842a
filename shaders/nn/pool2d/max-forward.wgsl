// Max pooling, forward. One invocation makes one value:
//   y[c, v, u] = max of x[c] over the window of (v, u), padding never being the largest
// Layouts as in torch.nn.MaxPool2d.

#import nn/pool2d/window

@group(0) @binding(0) var<storage, read> input: array<f32>;                    // x [ROWS, IN_STRIDE]
@group(0) @binding(1) var<storage, read_write> output: array<f32>;             // y [ROWS, OUT_STRIDE]

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
