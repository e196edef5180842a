// Average pooling, backward. One invocation makes one value:
//   dx[c, y, x] = sum of dy[c, v, u] over the windows that contain (y, x) / (KERNEL_Y KERNEL_X)
// Layouts as in torch.nn.AvgPool2d with count_include_pad. Linked in: whether x is the output of a ReLU (mask/).

#import nn/pool2d/window

@group(0) @binding(0) var<storage, read> output_gradient: array<f32>;          // dy [ROWS, OUT_STRIDE]
@group(0) @binding(1) var<storage, read_write> input_gradient: array<f32>;     // dx [ROWS, IN_STRIDE]

#import mask

@compute @workgroup_size(WORKGROUP_SIZE)
fn average_pool_backward(@builtin(global_invocation_id) id: vec3u) {
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
  var sum = 0.0;
  for (var v = w.top; v < w.bottom; v++) {
    for (var u = w.left; u < w.right; u++) {
      sum += output_gradient[out + v * OUT_WIDTH + u];
    }
  }
  input_gradient[at] = masked(sum / f32(KERNEL_Y * KERNEL_X), at);
}
