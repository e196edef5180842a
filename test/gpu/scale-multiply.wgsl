// One invocation multiplies 4 neighbouring features of one row with their weights:  y = x weight.  Forward, and backward to x.

override ROWS: u32;
override FEATURES: u32;
override QUADS: u32;      // of a row

@group(0) @binding(0) var<storage, read> a: array<vec4f>;                // x or dy [ROWS, QUADS]
@group(0) @binding(1) var<storage, read> weight: array<f32>;             // [FEATURES]
@group(0) @binding(2) var<storage, read_write> product: array<vec4f>;    // y or dx [ROWS, QUADS]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= QUADS || id.y >= ROWS) { return; }
  let i = 4u * id.x + vec4u(0u, 1u, 2u, 3u);
  let at = min(i, vec4u(FEATURES - 1u));
  let factor = vec4f(weight[at.x], weight[at.y], weight[at.z], weight[at.w]);
  // Zero behind the last feature, as every activation is.
  product[id.y * QUADS + id.x] = select(vec4f(), a[id.y * QUADS + id.x] * factor, i < vec4u(FEATURES));
}
