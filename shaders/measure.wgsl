// Stage 1, measure. A workgroup walks over chunks; each of its invocations stores, per chunk, one partial of what it saw:
//   sum |g|^p (or nothing for the infinity norm), max |g|, and how many g are not finite.
// Non-finite values are found by their bits, before any arithmetic, and take no part in the sums: comparisons with NaN and
// arithmetic on it are indeterminate in WGSL.

#import lib/records
#import lib/norm
#import lib/reduce
#import storage
#import lib/lane-norm

override WORKGROUP_SIZE: u32 = 64;
override NORM_P: f32 = 2.0;       // 0: the infinity norm

@group(0) @binding(0) var<uniform> header: Header;
@group(0) @binding(1) var<uniform> window: Window;
@group(0) @binding(2) var<storage, read> table: array<vec4u>;                  // tensor rows, then chunk rows
@group(0) @binding(3) var<storage, read_write> grads: array<Packed>;           // raw gradients of this window
@group(0) @binding(4) var<storage, read_write> partials: array<vec4u>;         // [chunk][invocation]

@compute @workgroup_size(WORKGROUP_SIZE)
fn measure(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u,
           @builtin(local_invocation_index) lane: u32) {
  for (var c = window.chunk_begin + workgroup.x; c < window.chunk_end; c += workgroups.x) {
    let chunk = table[header.tensor_count + 1u + c];
    let takes_part = table[chunk.x].z != 0u;
    var seen = PARTIAL_ZERO;
    for (var i = lane; i < select(0u, chunk.z, takes_part); i += WORKGROUP_SIZE) {
      let bits = lane_bits(grads[chunk.y + i]);
      seen.count = count_join(seen.count, non_finite_count(bits));
      let magnitude = lane_from_bits(select(bits & LaneBits(0x7fffffffu), LaneBits(0u), lane_non_finite(bits)));
      let largest = lane_max(magnitude);
      seen.max = max(seen.max, largest);
      if (NORM_P > 0.0) {
        let room = norm_make_room(seen.norm, largest, NORM_P);
        seen.norm = Norm(room.sum + lane_sum(lane_power(magnitude * pow2(-room.exponent))), room.exponent);
      }
    }
    partials[c * WORKGROUP_SIZE + lane] = partial_pack(seen);
  }
}

// x^NORM_P in every lane.
fn lane_power(x: Lane) -> Lane {
  if (NORM_P != floor(NORM_P)) { return select(exp2(NORM_P * log2(max(x, Lane(1.1754944e-38)))), Lane(0.0), x == Lane(0.0)); }
  var y = x;
  for (var i = 1.0; i < NORM_P; i += 1.0) { y *= x; }
  return y;
}
