// Dense layer, forward. One invocation makes a register tile of 8 rows (samples) by 4 outputs:
//   y = x W^T + b,  or max(x W^T + b, 0) with RELU;  without BIAS  b = 0
// Everything is read 4 values at a time; no workgroup memory: at these sizes the caches do its work.
// Layout as in torch.nn.Linear. Activations have ROWS rows, a multiple of 8, of a whole number of quads (vec4f), zero behind
// the last feature; outputs are left like that. The order of each sum is fixed: equal bits on every run.
// Linked in: what an input is (input-rows/), how a row of weights lies in memory (weight-rows/).

override WORKGROUP_X: u32 = 8;
override WORKGROUP_Y: u32 = 8;
override ROWS: u32;
override IN: u32;
override OUT: u32;
override RELU: bool = false;
override BIAS: bool = true;
override IN_QUADS = (IN + 3u) / 4u;
override OUT_QUADS = (OUT + 3u) / 4u;

@group(0) @binding(0) var<storage, read> input: array<InputElement>;           // x [ROWS, IN_QUADS]
@group(0) @binding(1) var<storage, read> weight: array<WeightElement>;         // W [OUT, IN]
@group(0) @binding(2) var<storage, read> bias: array<f32>;                     // b [OUT]
@group(0) @binding(3) var<storage, read_write> output: array<vec4f>;           // y [ROWS, OUT_QUADS]

#import input-rows
#import weight-rows

@compute @workgroup_size(WORKGROUP_X, WORKGROUP_Y)
fn linear_forward(@builtin(global_invocation_id) id: vec3u) {
  let row = id.y * 8u;
  if (id.x >= OUT_QUADS || row >= ROWS) { return; }
  let outs = vec4u(id.x * 4u) + vec4u(0u, 1u, 2u, 3u);
  let counts = outs < vec4u(OUT);
  let o = min(outs, vec4u(OUT - 1u));
  var b = vec4f();
  if (BIAS) { b = vec4f(bias[o.x], bias[o.y], bias[o.z], bias[o.w]); }
  var y0 = b; var y1 = b; var y2 = b; var y3 = b;
  var y4 = b; var y5 = b; var y6 = b; var y7 = b;
  // Where the rows begin: a multiplication for each read would be felt.
  let w0 = weight_row(o.x); let w1 = weight_row(o.y); let w2 = weight_row(o.z); let w3 = weight_row(o.w);
  let x0 = row * IN_QUADS; let x1 = x0 + IN_QUADS; let x2 = x1 + IN_QUADS; let x3 = x2 + IN_QUADS;
  let x4 = x3 + IN_QUADS; let x5 = x4 + IN_QUADS; let x6 = x5 + IN_QUADS; let x7 = x6 + IN_QUADS;
  for (var q = 0u; q < IN_QUADS; q++) {
    let w = mat4x4f(weight_quad(w0, q), weight_quad(w1, q), weight_quad(w2, q), weight_quad(w3, q));
    y0 += input_quad(x0 + q) * w;
    y1 += input_quad(x1 + q) * w;
    y2 += input_quad(x2 + q) * w;
    y3 += input_quad(x3 + q) * w;
    y4 += input_quad(x4 + q) * w;
    y5 += input_quad(x5 + q) * w;
    y6 += input_quad(x6 + q) * w;
    y7 += input_quad(x7 + q) * w;
  }
  let at = row * OUT_QUADS + id.x;
  output[at] = activated(y0, counts);
  output[at + OUT_QUADS] = activated(y1, counts);
  output[at + 2u * OUT_QUADS] = activated(y2, counts);
  output[at + 3u * OUT_QUADS] = activated(y3, counts);
  output[at + 4u * OUT_QUADS] = activated(y4, counts);
  output[at + 5u * OUT_QUADS] = activated(y5, counts);
  output[at + 6u * OUT_QUADS] = activated(y6, counts);
  output[at + 7u * OUT_QUADS] = activated(y7, counts);
}

// By comparison and not by max(): max(NaN, 0) is 0 and would hide a network that has broken.
fn activated(y: vec4f, counts: vec4<bool>) -> vec4f {
  let z = select(y, vec4f(), vec4<bool>(RELU) & (y < vec4f()));
  return select(vec4f(), z, counts);
}
