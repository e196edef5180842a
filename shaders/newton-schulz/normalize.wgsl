// Before the first Newton-Schulz step. One invocation divides blocks of 4 x 4 elements by the Frobenius norm of their matrix:
//   X = u / (|u| + eps),  or u / max(|u|, eps) with MAXIMUM;  0 for a matrix of zeros
// and stores them straight and transposed. It divides in units of a power of two near the largest |u|, so that neither norm nor
// quotient leaves the range of float32.

#import lib/norm
#import newton-schulz/matrices-record
#import source

override WORKGROUP_SIZE: u32 = 64;
override MAXIMUM: bool = false;

@group(0) @binding(0) var<uniform> matrices: Matrices;               // of this dispatch; offsets in elements
@group(0) @binding(1) var<storage, read> table: array<u32>;                    // where matrices begin, in elements
@group(0) @binding(2) var<storage, read> source: array<SourceElement>;         // u [rows, cols]
@group(0) @binding(3) var<storage, read> partials: array<vec2u>;               // [matrix][part]: bits of sum, exponent
@group(0) @binding(4) var<storage, read_write> normalized: array<vec4f>;       // X [rows, cols], rows of whole quads
@group(0) @binding(5) var<storage, read_write> transposed: array<vec4f>;       // X^T [cols, rows], rows of whole quads

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
  let straight = table[matrices.normalized + id.z] / 4u;
  let turned = table[matrices.transposed + id.z] / 4u;
  let across = (matrices.cols + 3u) / 4u;
  let down = (matrices.rows + 3u) / 4u;
  for (var b = id.x; b < across * down; b += workgroups.x * WORKGROUP_SIZE) {
    let row = b / across * 4u;
    let q = b % across;
    var block = mat4x4f();
    for (var i = 0u; i < min(4u, matrices.rows - row); i++) {
      block[i] = select(source_quad(input, row + i, q) * unit / divisor, vec4f(), divisor == 0.0);
      normalized[straight + (row + i) * across + q] = block[i];
    }
    var columns = transpose(block);
    for (var i = 0u; i < min(4u, matrices.cols - q * 4u); i++) {
      transposed[turned + (q * 4u + i) * down + row / 4u] = columns[i];
    }
  }
}
