// Max pooling whose windows overlap, backward. One invocation makes one value:
//   dx[c, y, x] = sum of dy[c, v, u] over the windows whose (first) maximum is at (y, x)
// Maxima are found again: that is cheaper than to keep them. Layouts as in torch.nn.MaxPool2d.

#import nn/pool2d/window

override RELU: bool = false;                          // x is the output of a ReLU, dx the gradient before it

@group(0) @binding(0) var<storage, read> output_gradient: array<f32>;          // dy [ROWS, OUT_STRIDE]
@group(0) @binding(1) var<storage, read> input: array<f32>;                    // x [ROWS, IN_STRIDE]
@group(0) @binding(2) var<storage, read_write> input_gradient: array<f32>;     // dx [ROWS, IN_STRIDE]

#import nn/pool2d/maximum

@compute @workgroup_size(WORKGROUP_SIZE)
fn max_pool_backward(@builtin(global_invocation_id) id: vec3u) {
  let at = flat_index(id);
  let row = at / IN_STRIDE;
  if (row >= ROWS) { return; }
  let feature = at % IN_STRIDE;
  let channel = feature / (IN_HEIGHT * IN_WIDTH);
  if (channel >= CHANNELS) {
    input_gradient[at] = 0.0;
    return;
  }
  let pixel = feature % (IN_HEIGHT * IN_WIDTH);
  let w = windows_with(pixel / IN_WIDTH, pixel % IN_WIDTH);
  let out = row * OUT_STRIDE + channel * OUT_HEIGHT * OUT_WIDTH;
  let plane = row * IN_STRIDE + channel * IN_HEIGHT * IN_WIDTH;
  var sum = 0.0;
  for (var v = w.top; v < w.bottom; v++) {
    for (var u = w.left; u < w.right; u++) {
      let here = at == maximum_of(plane, window_of(v, u)).at;
      sum += select(0.0, output_gradient[out + v * OUT_WIDTH + u], here);
    }
  }
  input_gradient[at] = select(sum, 0.0, RELU & (input[at] <= 0.0));
}
