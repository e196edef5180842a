// Sum of two activations, as at the end of a residual block. One invocation makes 4 neighbouring features:
//   y = a + b,  or max(a + b, 0) with RELU

#import nn/lib/flat-index

override ROWS: u32;
override FEATURES: u32;
override QUADS = (FEATURES + 3u) / 4u;
override RELU: bool = false;

@group(0) @binding(0) var<storage, read> a: array<vec4f>;                      // [ROWS, QUADS]
@group(0) @binding(1) var<storage, read> b: array<vec4f>;                      // [ROWS, QUADS]
@group(0) @binding(2) var<storage, read_write> output: array<vec4f>;           // y [ROWS, QUADS]

@compute @workgroup_size(WORKGROUP_SIZE)
fn add(@builtin(global_invocation_id) id: vec3u) {
  let at = flat_index(id);
  if (at >= ROWS * QUADS) { return; }
  let y = a[at] + b[at];
  // By comparison and not by max(): max(NaN, 0) is 0.
  output[at] = select(y, vec4f(), vec4<bool>(RELU) & (y < vec4f()));
}
