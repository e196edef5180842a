// Max pooling whose windows do not overlap, backward. One invocation makes the values of one window and of what lies between it
// and the next ones:
//   dx[c, y, x] = dy[c, v, u] where the (first) maximum of the window is at (y, x), else 0
// Maxima are found again: that is cheaper than to keep them. Layouts as in torch.nn.MaxPool2d.

#import nn/pool2d/window

override RELU: bool = false;                          // x is the output of a ReLU, dx the gradient before it

@group(0) @binding(0) var<storage, read> output_gradient: array<f32>;          // dy [ROWS, OUT_STRIDE]
@group(0) @binding(1) var<storage, read> input: array<f32>;                    // x [ROWS, IN_STRIDE]
@group(0) @binding(2) var<storage, read_write> input_gradient: array<f32>;     // dx [ROWS, IN_STRIDE]

#import nn/pool2d/maximum

@compute @workgroup_size(WORKGROUP_SIZE)
fn max_pool_backward_disjoint(@builtin(global_invocation_id) id: vec3u) {
  let at = flat_index(id);
  let row = at / OUT_STRIDE;
  if (row >= ROWS) { return; }
  let feature = at % OUT_STRIDE;
  let channel = feature / (OUT_HEIGHT * OUT_WIDTH);
  if (feature == 0u) {
    for (var i = CHANNELS * IN_HEIGHT * IN_WIDTH; i < IN_STRIDE; i++) { input_gradient[row * IN_STRIDE + i] = 0.0; }
  }
  if (channel >= CHANNELS) { return; }
  let pixel = feature % (OUT_HEIGHT * OUT_WIDTH);
  let v = pixel / OUT_WIDTH;
  let u = pixel % OUT_WIDTH;
  let plane = row * IN_STRIDE + channel * IN_HEIGHT * IN_WIDTH;
  let w = window_of(v, u);
  let largest = maximum_of(plane, w);
  let gradient = select(output_gradient[at], 0.0, RELU & (largest.value <= 0.0));
  // The last window of a line answers for all that follows it.
  let bottom = select(min((v + 1u) * STRIDE_Y, IN_HEIGHT + PAD_Y) - PAD_Y, IN_HEIGHT, v + 1u == OUT_HEIGHT);
  let right = select(min((u + 1u) * STRIDE_X, IN_WIDTH + PAD_X) - PAD_X, IN_WIDTH, u + 1u == OUT_WIDTH);
  for (var y = w.top; y < bottom; y++) {
    for (var i = plane + y * IN_WIDTH + w.left; i < plane + y * IN_WIDTH + right; i++) {
      input_gradient[i] = select(0.0, gradient, i == largest.at);
    }
  }
}
