// Gradient accumulation: one invocation adds its elements of a micro-batch's gradient to the sum.
//   sum <- g  at the first micro-batch,  sum <- sum + g  at the others
// A sum that met a non-finite gradient stays NaN, by bits: arithmetic on infinities is indeterminate in WGSL, and the step
// that follows must find it.

#import lib/records
#import storage
#import grads

override WORKGROUP_SIZE: u32 = 64;
override FIRST: bool = false;     // the first micro-batch of a step

@group(0) @binding(0) var<uniform> header: Header;
@group(0) @binding(1) var<uniform> window: Window;
@group(0) @binding(2) var<storage, read> table: array<vec4u>;                  // tensor rows, then chunk rows
@group(0) @binding(3) var<storage, read_write> grads: array<GradWord>;         // gradients of the micro-batch
@group(0) @binding(4) var<storage, read_write> sums: array<LaneBits>;          // sum over the micro-batches, as bits

@compute @workgroup_size(WORKGROUP_SIZE)
fn accumulate(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u,
              @builtin(local_invocation_index) lane: u32) {
  for (var c = window.chunk_begin + workgroup.x; c < window.chunk_end; c += workgroups.x) {
    let chunk = table[header.tensor_count + 1u + c];
    let count = bounded(chunk.z, max(arrayLength(&grads), arrayLength(&sums)));
    for (var i = lane; i < count; i += WORKGROUP_SIZE) {
      let at = chunk.y + i;
      let g = lane_bits(load_grad(at));
      if (FIRST) {
        sums[at] = g;
      } else {
        let sum = sums[at];
        let bad = non_finite(g) | non_finite(sum);
        sums[at] = select(lane_bits(lane_from_bits(sum) + lane_from_bits(g)), LaneBits(0x7fc00000u), bad);
      }
    }
  }
}

fn non_finite(bits: LaneBits) -> LaneMask {
  return (bits & LaneBits(0x7f800000u)) == LaneBits(0x7f800000u);
}
