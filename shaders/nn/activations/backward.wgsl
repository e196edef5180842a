// An activation function, backward. One invocation makes 4 neighbouring features: dx = dy f'(x). Linked in: f (kind/).

#import nn/lib/flat-index

override ROWS: u32;
override FEATURES: u32;
override QUADS = (FEATURES + 3u) / 4u;

@group(0) @binding(0) var<storage, read> output_gradient: array<vec4f>;        // dy [ROWS, QUADS]
@group(0) @binding(1) var<storage, read> input: array<vec4f>;                  // x [ROWS, QUADS]
@group(0) @binding(2) var<storage, read_write> input_gradient: array<vec4f>;   // dx [ROWS, QUADS]

#import kind

@compute @workgroup_size(WORKGROUP_SIZE)
fn activation_backward(@builtin(global_invocation_id) id: vec3u) {
  let at = flat_index(id);
  if (at >= ROWS * QUADS) { return; }
  let x = input[at];
  input_gradient[at] = select(vec4f(), or_nan(output_gradient[at] * slope(x), x), exist(at));
}

// Which features of a quad there are; behind the last one everything is 0.
fn exist(at: u32) -> vec4<bool> {
  return (vec4u(4u * (at % QUADS)) + vec4u(0u, 1u, 2u, 3u)) < vec4u(FEATURES);
}

// f of NaN is NaN. Not every exp() and no clamp() says so; the bits do.
fn or_nan(y: vec4f, x: vec4f) -> vec4f {
  return select(y, x, (bitcast<vec4u>(x) & vec4u(0x7fffffffu)) > vec4u(0x7f800000u));
}
