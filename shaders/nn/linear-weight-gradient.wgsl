// Dense layer, backward to its parameters. One invocation makes a register tile of 8 outputs by 8 inputs,
//   dW = dy^T x
// summed over the rows (samples) in their order: equal bits on every run. One more column of tiles sums dy itself:
//   db = sum over the rows of dy
// Layouts as in linear-forward.wgsl. Where dy holds the gradient of a mean, so do dW and db.

override WORKGROUP_X: u32 = 8;
override WORKGROUP_Y: u32 = 8;
override ROWS: u32;
override IN: u32;
override OUT: u32;
override ACCUMULATE: bool = false;    // add to what is there
override BIAS: bool = true;           // else db is left alone
override IN_QUADS = (IN + 3u) / 4u;
override OUT_QUADS = (OUT + 3u) / 4u;
override IN_TILES = (IN + 7u) / 8u;

@group(0) @binding(0) var<storage, read> output_gradient: array<vec4f>;        // dy [ROWS, OUT_QUADS]
@group(0) @binding(1) var<storage, read> input: array<InputElement>;           // x [ROWS, IN_QUADS]
@group(0) @binding(2) var<storage, read_write> weight_gradient: array<WeightElement>;  // dW [OUT, IN]
@group(0) @binding(3) var<storage, read_write> bias_gradient: array<f32>;      // db [OUT]

#import input-rows
#import weight-rows

@compute @workgroup_size(WORKGROUP_X, WORKGROUP_Y)
fn linear_weight_gradient(@builtin(global_invocation_id) id: vec3u) {
  let out = id.y * 8u;
  if (id.x > IN_TILES || out >= OUT) { return; }
  // An odd number of quads: the tile's second quad is the first once more, and is not stored.
  let o0 = id.y * 2u;
  let o1 = min(o0 + 1u, OUT_QUADS - 1u);
  if (id.x == IN_TILES) {
    if (BIAS) { sum_bias(out, o0, o1); }
    return;
  }
  let i0 = id.x * 2u;
  let i1 = min(i0 + 1u, IN_QUADS - 1u);
  // Row o of the tile: w<o>0 and w<o>1.
  var w00 = vec4f(); var w10 = vec4f(); var w20 = vec4f(); var w30 = vec4f();
  var w40 = vec4f(); var w50 = vec4f(); var w60 = vec4f(); var w70 = vec4f();
  var w01 = vec4f(); var w11 = vec4f(); var w21 = vec4f(); var w31 = vec4f();
  var w41 = vec4f(); var w51 = vec4f(); var w61 = vec4f(); var w71 = vec4f();
  var dy_row = 0u;
  var x_row = 0u;
  for (var r = 0u; r < ROWS; r++) {
    let dy0 = output_gradient[dy_row + o0];
    let dy1 = output_gradient[dy_row + o1];
    let x0 = input_quad(x_row + i0);
    let x1 = input_quad(x_row + i1);
    dy_row += OUT_QUADS;
    x_row += IN_QUADS;
    w00 += dy0.x * x0; w01 += dy0.x * x1;
    w10 += dy0.y * x0; w11 += dy0.y * x1;
    w20 += dy0.z * x0; w21 += dy0.z * x1;
    w30 += dy0.w * x0; w31 += dy0.w * x1;
    w40 += dy1.x * x0; w41 += dy1.x * x1;
    w50 += dy1.y * x0; w51 += dy1.y * x1;
    w60 += dy1.z * x0; w61 += dy1.z * x1;
    w70 += dy1.w * x0; w71 += dy1.w * x1;
  }
  store(out, i0, w00); store(out, i0 + 1u, w01);
  store(out + 1u, i0, w10); store(out + 1u, i0 + 1u, w11);
  store(out + 2u, i0, w20); store(out + 2u, i0 + 1u, w21);
  store(out + 3u, i0, w30); store(out + 3u, i0 + 1u, w31);
  store(out + 4u, i0, w40); store(out + 4u, i0 + 1u, w41);
  store(out + 5u, i0, w50); store(out + 5u, i0 + 1u, w51);
  store(out + 6u, i0, w60); store(out + 6u, i0 + 1u, w61);
  store(out + 7u, i0, w70); store(out + 7u, i0 + 1u, w71);
}

fn sum_bias(out: u32, o0: u32, o1: u32) {
  var b0 = vec4f();
  var b1 = vec4f();
  for (var r = 0u; r < ROWS; r++) {
    b0 += output_gradient[r * OUT_QUADS + o0];
    b1 += output_gradient[r * OUT_QUADS + o1];
  }
  for (var o = 0u; o < min(8u, OUT - out); o++) {
    var b = select(b1[o & 3u], b0[o & 3u], o < 4u);
    if (ACCUMULATE) { b += bias_gradient[out + o]; }
    bias_gradient[out + o] = b;
  }
}

fn store(out: u32, quad: u32, value: vec4f) {
  if (out >= OUT || quad >= IN_QUADS) { return; }
  store_weight_quad(out, quad, value);
}
