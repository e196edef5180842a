// Max pooling by 2 x 2 windows of planes of even size, backward. One invocation makes the values of 4 neighbouring windows:
//   dx[c, y, x] = dy[c, v, u] where the (first) maximum of the window is at (y, x), else 0
// Maxima are found again: that is cheaper than to keep them. Layouts as in torch.nn.MaxPool2d(2).

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
override RELU: bool = false;                          // x is the output of a ReLU, dx the gradient before it

@group(0) @binding(0) var<storage, read> output_gradient: array<f32>;          // dy [ROWS, OUT_STRIDE]
@group(0) @binding(1) var<storage, read> input: array<vec2f>;                  // x [ROWS, IN_STRIDE / 2]
@group(0) @binding(2) var<storage, read_write> input_gradient: array<vec2f>;   // dx [ROWS, IN_STRIDE / 2]

#import nn/pool2d/max-2x2-windows

@compute @workgroup_size(WORKGROUP_SIZE)
fn max_pool_2x2_backward(@builtin(global_invocation_id) id: vec3u) {
  let index = flat_index(id);
  if (index >= ROWS * CHANNELS * OUT_HEIGHT * TILES_X) { return; }
  let place = place_of(index);
  let w = windows_at(place.upper);
  let at = vec4u(place.out) + min(vec4u(0u, 1u, 2u, 3u), vec4u(place.count - 1u));
  let dy = vec4f(output_gradient[at.x], output_gradient[at.y], output_gradient[at.z], output_gradient[at.w]);
  let b_over = takes_over(w.b, w.a);
  let upper = select(w.a, w.b, b_over);
  let c_over = takes_over(w.c, upper);
  let three = select(upper, w.c, c_over);
  let d_over = takes_over(w.d, three);
  let largest = select(three, w.d, d_over);
  let gradient = select(dy, vec4f(), vec4<bool>(RELU) & (largest <= vec4f()));
  // The last to take over is where the maximum is.
  let d = select(vec4f(), gradient, d_over);
  let c = select(vec4f(), gradient, c_over & !d_over);
  let b = select(vec4f(), gradient, b_over & !c_over & !d_over);
  let a = select(vec4f(), gradient, !(b_over | c_over | d_over));
  let lower = place.upper + vec4u(IN_WIDTH / 2u);
  input_gradient[place.upper.x] = vec2f(a.x, b.x);
  input_gradient[lower.x] = vec2f(c.x, d.x);
  if (place.count > 1u) {
    input_gradient[place.upper.y] = vec2f(a.y, b.y);
    input_gradient[lower.y] = vec2f(c.y, d.y);
  }
  if (place.count > 2u) {
    input_gradient[place.upper.z] = vec2f(a.z, b.z);
    input_gradient[lower.z] = vec2f(c.z, d.z);
  }
  if (place.count > 3u) {
    input_gradient[place.upper.w] = vec2f(a.w, b.w);
    input_gradient[lower.w] = vec2f(c.w, d.w);
  }
}
