// Stage 1, measure. A workgroup walks over chunks; each of its invocations stores, per chunk, one partial of what it saw:
//   sum |g|^p (or nothing for the infinity norm), max |g|, and how many g are not finite.
// Non-finite values are found by their bits, before any arithmetic, and take no part in the sums: comparisons with NaN and
// arithmetic on it are indeterminate in WGSL.

#import lib/records
#import lib/norm
#import lib/reduce
#import storage
#import grads
#import lib/lane-norm

override WORKGROUP_SIZE: u32 = 64;
override NORM_P: f32 = 2.0;       // 0: the infinity norm

@group(0) @binding(0) var<uniform> header: Header;
@group(0) @binding(1) var<uniform> window: Window;
@group(0) @binding(2) var<storage, read> table: array<vec4u>;                  // tensor rows, then chunk rows
@group(0) @binding(3) var<storage, read_write> grads: array<GradWord>;         // raw gradients of this window
@group(0) @binding(4) var<storage, read_write> partials: array<vec4u>;         // [chunk][invocation]

@compute @workgroup_size(WORKGROUP_SIZE)
fn measure(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u,
           @builtin(local_invocation_index) lane: u32) {
  for (var c = window.chunk_begin + workgroup.x; c < window.chunk_end; c += workgroups.x) {
    let chunk = table[header.tensor_count + 1u + c];
    let takes_part = table[chunk.x].z != 0u;
    let count = select(0u, bounded(chunk.z, arrayLength(&grads)), takes_part);
    var seen = PARTIAL_ZERO;
    var suffices = false;
    if (NORM_P == 2.0) {
      var squares = Lane(0.0);
      var tops = LaneBits(0u);
      for (var begin = lane; begin < count; begin += FOLD_EVERY * WORKGROUP_SIZE) {
        var block = Lane(0.0);
        for (var i = begin; i < min(begin + FOLD_EVERY * WORKGROUP_SIZE, count); i += WORKGROUP_SIZE) {
          let g = load_grad(chunk.y + i);
          block += g * g;
          tops = max(tops, lane_bits(g) & LaneBits(0x7fffffffu));
        }
        squares += block;
      }
      let top = lane_top(tops);
      suffices = glance_suffices(top);
      if (suffices) { seen = glance_partial(squares, top); }
    }
    if (!suffices) {
      for (var begin = lane; begin < count; begin += FOLD_EVERY * WORKGROUP_SIZE) {
        var block = PARTIAL_ZERO;
        for (var i = begin; i < min(begin + FOLD_EVERY * WORKGROUP_SIZE, count); i += WORKGROUP_SIZE) {
          block = partial_add(block, lane_bits(load_grad(chunk.y + i)), NORM_P);
        }
        seen = partial_join(seen, block, NORM_P);
      }
    }
    partials[c * WORKGROUP_SIZE + lane] = partial_pack(seen);
  }
}
