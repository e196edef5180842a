// The ceiling of a matrix kernel: products and sums of registers only, four independent chains of vec4f, 8192 per invocation.

@group(0) @binding(0) var<storage, read_write> values: array<vec4f>;           // [invocations]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let a = values[id.x];
  let b = a * 0.5;
  var c0 = a; var c1 = a + 1.0; var c2 = a + 2.0; var c3 = a + 3.0;
  for (var k = 0u; k < 256u; k++) {
    c0 = c0 * b + a; c1 = c1 * b + a; c2 = c2 * b + a; c3 = c3 * b + a;
  }
  values[id.x] = (c0 + c1 + c2 + c3) * 1e-30;
}
