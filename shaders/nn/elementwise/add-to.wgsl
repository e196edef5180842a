// Adds one activation to another: the gradient of a value that is used twice. One invocation adds 4 neighbouring features:
//   target <- target + source

#import nn/lib/flat-index

override ROWS: u32;
override FEATURES: u32;
override QUADS = (FEATURES + 3u) / 4u;

@group(0) @binding(0) var<storage, read> source: array<vec4f>;                 // [ROWS, QUADS]
@group(0) @binding(1) var<storage, read_write> sum: array<vec4f>;              // target [ROWS, QUADS]

@compute @workgroup_size(WORKGROUP_SIZE)
fn add_to(@builtin(global_invocation_id) id: vec3u) {
  let at = flat_index(id);
  if (at >= ROWS * QUADS) { return; }
  sum[at] += source[at];
}
