// Max pooling by 2 x 2 windows of planes of even size, forward. One invocation makes 4 neighbouring values of a line:
//   y[c, v, u] = max of x[c, 2 v .. 2 v + 1, 2 u .. 2 u + 1]
// Layouts as in torch.nn.MaxPool2d(2).

#import nn/lib/flat-index

override ROWS: u32;
override CHANNELS: u32;
override IN_HEIGHT: u32;                              // even
override IN_WIDTH: u32;                               // even
override IN_STRIDE: u32;                              // floats of a row (sample)
override OUT_STRIDE: u32;
override OUT_HEIGHT = IN_HEIGHT / 2u;
override OUT_WIDTH = IN_WIDTH / 2u;
override TILES_X = (OUT_WIDTH + 3u) / 4u;

@group(0) @binding(0) var<storage, read> input: array<vec2f>;                  // x [ROWS, IN_STRIDE / 2]
@group(0) @binding(1) var<storage, read_write> output: array<f32>;             // y [ROWS, OUT_STRIDE]

#import nn/pool2d/max-2x2-windows

@compute @workgroup_size(WORKGROUP_SIZE)
fn max_pool_2x2_forward(@builtin(global_invocation_id) id: vec3u) {
  let index = flat_index(id);
  if (index >= ROWS * CHANNELS * OUT_HEIGHT * TILES_X) { return; }
  let place = place_of(index);
  let w = windows_at(place.upper);
  var y = w.a;
  y = select(y, w.b, takes_over(w.b, y));
  y = select(y, w.c, takes_over(w.c, y));
  y = select(y, w.d, takes_over(w.d, y));
  output[place.out] = y.x;
  if (place.count > 1u) { output[place.out + 1u] = y.y; }
  if (place.count > 2u) { output[place.out + 2u] = y.z; }
  if (place.count > 3u) { output[place.out + 3u] = y.w; }
  if (place.out == place.row * OUT_STRIDE) {
    for (var i = CHANNELS * OUT_HEIGHT * OUT_WIDTH; i < OUT_STRIDE; i++) { output[place.out + i] = 0.0; }
  }
}
