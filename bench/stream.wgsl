// The floor of an AdamW step: its loads and stores, next to no arithmetic.
//
// Each workgroup takes one contiguous range of the vec4s, and walks it with its invocations side by side:
//     p += g      m += g      v += g
// so p, g, m, v are read and p, m, v are written once, as in an update that keeps two moments.

override WORKGROUP_SIZE: u32 = 256;

@group(0) @binding(0) var<storage, read_write> param: array<vec4f>; // [n / 4]
@group(0) @binding(1) var<storage, read> grad: array<vec4f>;        // [n / 4]
@group(0) @binding(2) var<storage, read_write> m: array<vec4f>;     // [n / 4]
@group(0) @binding(3) var<storage, read_write> v: array<vec4f>;     // [n / 4]

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(local_invocation_index) lane: u32,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let size = arrayLength(&param);
  let lanes = workgroups.x * WORKGROUP_SIZE;
  let range = (size + lanes - 1) / lanes * WORKGROUP_SIZE;
  let begin = workgroup.x * range;
  let end = min(size, begin + range);
  for (var i = begin + lane; i < end; i += WORKGROUP_SIZE) {
    let g = grad[i];
    param[i] += g;
    m[i] += g;
    v[i] += g;
  }
}
