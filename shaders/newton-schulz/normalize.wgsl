// Before the first Newton-Schulz step. One invocation divides some quads of a matrix by its Frobenius norm:
//   X = u / (|u| + eps),  or u / max(|u|, eps) with MAXIMUM;  0 for a matrix of zeros
// It does so in units of a power of two near the largest |u|, so that neither norm nor quotient leaves the range of float32.

#import lib/norm
#import newton-schulz/matrices-record
#import source

override WORKGROUP_SIZE: u32 = 64;
override MAXIMUM: bool = false;

@group(0) @binding(0) var<uniform> matrices: Matrices;
@group(0) @binding(1) var<storage, read> table: array<u32>;                    // where matrices begin, in elements
@group(0) @binding(2) var<storage, read> source: array<SourceElement>;         // u
@group(0) @binding(3) var<storage, read> partials: array<vec2u>;               // [matrix][part]: bits of sum, exponent
@group(0) @binding(4) var<storage, read_write> normalized: array<vec4f>;       // X, rows filled up to whole quads with zeros

@compute @workgroup_size(WORKGROUP_SIZE)
fn normalize_matrices(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) workgroups: vec3u) {
  var all = NORM_ZERO;
  for (var part = 0u; part < matrices.parts; part++) {
    let bits = partials[id.z * matrices.parts + part];
    all = norm_join(all, Norm(bitcast<f32>(bits.x), bitcast<i32>(bits.y)), 2.0);
  }
  let unit = pow2(-all.exponent);
  let root = sqrt(all.sum);
  let eps = matrices.eps * unit;
  var divisor = root + eps;
  if (MAXIMUM) { divisor = max(root, eps); }

  let input = table[matrices.source + id.z];
  let to = table[matrices.destination + id.z] / 4u;
  for (var q = id.x; q < matrices.quads; q += workgroups.x * WORKGROUP_SIZE) {
    normalized[to + q] = select(source_quad(input, q) * unit / divisor, vec4f(), divisor == 0.0);
  }
}
