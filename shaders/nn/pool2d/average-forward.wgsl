// Average pooling, forward. One invocation makes one value:
//   y[c, v, u] = sum of x[c] over the window of (v, u) / (KERNEL_Y KERNEL_X), padding being 0
// Layouts as in torch.nn.AvgPool2d with count_include_pad.

#import nn/pool2d/window

@group(0) @binding(0) var<storage, read> input: array<f32>;                    // x [ROWS, IN_STRIDE]
@group(0) @binding(1) var<storage, read_write> output: array<f32>;             // y [ROWS, OUT_STRIDE]

@compute @workgroup_size(WORKGROUP_SIZE)
fn average_pool_forward(@builtin(global_invocation_id) id: vec3u) {
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
  let w = window_of(pixel / OUT_WIDTH, pixel % OUT_WIDTH);
  var sum = 0.0;
  for (var y = w.top; y < w.bottom; y++) {
    var line = 0.0;
    for (var x = w.left; x < w.right; x++) { line += input[plane + y * IN_WIDTH + x]; }
    sum += line;
  }
  output[at] = sum / f32(KERNEL_Y * KERNEL_X);
}
