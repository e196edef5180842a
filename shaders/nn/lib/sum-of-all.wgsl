// Sums over a workgroup. Every invocation calls it, and gets the sum of all: a tree of fixed order.
// Depends on WORKGROUP_SIZE, a power of two.
var<workgroup> wg_sums: array<f32, WORKGROUP_SIZE>;

fn sum_of_all(lane: u32, value: f32) -> f32 {
  // Of the call before this one everything has been read.
  workgroupBarrier();
  wg_sums[lane] = value;
  for (var half = WORKGROUP_SIZE / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { wg_sums[lane] += wg_sums[lane + half]; }
  }
  workgroupBarrier();
  return wg_sums[0];
}
