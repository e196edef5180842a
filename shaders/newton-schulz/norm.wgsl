// Before the first Newton-Schulz step: parts of the Frobenius norm of each matrix of a batch, one per workgroup:
//   sum u^2, kept so that it neither overflows nor vanishes (lib/norm)
// Each invocation sums in blocks, so that the rounding of a long sum stays small; then a tree joins the workgroup's sums.

#import lib/norm
#import newton-schulz/matrices-record
#import source

override WORKGROUP_SIZE: u32 = 64;       // a power of two, at most 64
const FOLD_EVERY = 32u;
// Above it the exponent of a norm could not be undone by a power of two.
const MAX_EXPONENT = 120;

@group(0) @binding(0) var<uniform> matrices: Matrices;               // of this dispatch; offsets in elements
@group(0) @binding(1) var<storage, read> table: array<u32>;                    // where matrices begin, in elements
@group(0) @binding(2) var<storage, read> source: array<SourceElement>;         // u, as many as the batch has
@group(0) @binding(3) var<storage, read_write> partials: array<vec2u>;         // [matrix][part]: bits of sum, exponent

var<workgroup> wg_norms: array<Norm, WORKGROUP_SIZE>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn norm(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
  let at = table[matrices.source + workgroup.z];
  let row_quads = (matrices.cols + 3u) / 4u;
  let quads = matrices.rows * row_quads;
  let stride = matrices.parts * WORKGROUP_SIZE;
  var seen = NORM_ZERO;
  for (var begin = workgroup.x * WORKGROUP_SIZE + lane; begin < quads; begin += FOLD_EVERY * stride) {
    var block = NORM_ZERO;
    for (var q = begin; q < min(begin + FOLD_EVERY * stride, quads); q += stride) {
      block = norm_add(block, source_quad(at, q / row_quads, q % row_quads));
    }
    seen = norm_join(seen, block, 2.0);
  }
  wg_norms[lane] = seen;
  for (var half = WORKGROUP_SIZE / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { wg_norms[lane] = norm_join(wg_norms[lane], wg_norms[lane + half], 2.0); }
  }
  if (lane == 0u) {
    let all = wg_norms[0];
    partials[workgroup.z * matrices.parts + workgroup.x] = vec2u(bitcast<u32>(all.sum), bitcast<u32>(all.exponent));
  }
}

fn norm_add(before: Norm, u: vec4f) -> Norm {
  var n = before;
  let size = abs(u);
  let exponent = min(exponent_of(max(max(size.x, size.y), max(size.z, size.w))), MAX_EXPONENT);
  if (exponent > n.exponent + HEADROOM || (n.sum == 0.0 && exponent > n.exponent)) { n = norm_raise(n, exponent, 2.0); }
  let scaled = u * pow2(-n.exponent);
  n.sum += dot(scaled, scaled);
  return n;
}
