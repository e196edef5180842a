// Max pooling whose windows overlap, backward. One invocation makes one value:
//   dx[c, y, x] = sum of dy[c, v, u] over the windows whose (first) maximum is at (y, x)
// Maxima are found again: that is cheaper than to keep them. Layouts as in torch.nn.MaxPool2d.
// Linked in: whether x is the output of a ReLU (mask/).

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

@group(0) @binding(0) var<storage, read> output_gradient: array<f32>;          // dy [ROWS, OUT_STRIDE]
@group(0) @binding(1) var<storage, read> input: array<f32>;                    // x [ROWS, IN_STRIDE]
@group(0) @binding(2) var<storage, read_write> input_gradient: array<f32>;     // dx [ROWS, IN_STRIDE]
override RELU: bool = false;

#import nn/pool2d/window
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
  let y = pixel / IN_WIDTH + PAD_Y;
  let x = pixel % IN_WIDTH + PAD_X;
  let out = row * OUT_STRIDE + channel * OUT_HEIGHT * OUT_WIDTH;
  let plane = row * IN_STRIDE + channel * IN_HEIGHT * IN_WIDTH;
  // Windows that contain the pixel: from the first that has not ended to the last that has begun.
  let last_v = min(y / STRIDE_Y + 1u, OUT_HEIGHT);
  let last_u = min(x / STRIDE_X + 1u, OUT_WIDTH);
  var sum = 0.0;
  for (var v = (max(y + STRIDE_Y, KERNEL_Y) - KERNEL_Y) / STRIDE_Y; v < last_v; v++) {
    for (var u = (max(x + STRIDE_X, KERNEL_X) - KERNEL_X) / STRIDE_X; u < last_u; u++) {
      let here = at == maximum_of(plane, window_of(v, u)).at;
      sum += select(0.0, output_gradient[out + v * OUT_WIDTH + u], here);
    }
  }
  input_gradient[at] = select(sum, 0.0, RELU & (input[at] <= 0.0));
}
