// Stage 3, update: THE fused pass. A workgroup walks over chunks; each invocation loads four elements of gradient, parameter and
// state at a time, and does
//   g <- grad * factor,  clamped to +- clip_value           unscale and clip, see lib/gradient.wgsl
//   g <- g + lambda (theta - a)                             coupled decay
//   u <- rule(g)                                            the optimizer, which also stores its state
//   theta <- theta - (s u + d (theta - a))                  one subtraction: 1 - d would lose a small d in float32
//   averages of theta over the steps                        see average/
// and, where figures are wanted, sums squares on the way. A skipped step and a tensor without a gradient change nothing.
//
// A rule must give u = 0 where theta and g are 0 and always were: so the padding of a segment stays zero.

#import lib/records
#import storage
#import params
#import grads
#import lib/rule-inputs
#import rule
#import lib/group-record
#import lib/gradient
#import lib/chunk
#import decay
#import around
#import average
#import figures
#import state
#import walk

override WORKGROUP_SIZE: u32 = 64;

@group(0) @binding(0) var<uniform> header: Header;
@group(0) @binding(1) var<uniform> window: Window;
@group(0) @binding(2) var<storage, read> table: array<vec4u>;                  // tensor rows, then chunk rows
@group(0) @binding(3) var<storage, read> records: array<GroupRecord>;          // [update][group], a ring
@group(0) @binding(4) var<storage, read> step_rows: array<StepRow>;            // by a tensor's own step count, 1 first
@group(0) @binding(5) var<storage, read> control: Control;
@group(0) @binding(6) var<storage, read_write> params: array<ParamWord>;       // of this window
@group(0) @binding(7) var<storage, read_write> grads: array<GradWord>;         // only read; read_write so that it may share a buffer with params
@group(0) @binding(8) var<storage, read_write> state: array<StateWord>;        // [slot][element] of this window
@group(0) @binding(9) var<storage, read_write> partials: array<vec4u>;         // [region][chunk][invocation]

@compute @workgroup_size(WORKGROUP_SIZE)
fn update(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u,
          @builtin(local_invocation_index) lane: u32) {
  for (var c = window.chunk_begin + workgroup.x; c < window.chunk_end; c += workgroups.x) {
    let chunk = table[header.tensor_count + 1u + c];
    let tensor = table[chunk.x];
    if (tensor.z != 0u && control.skip == 0u) {
      update_chunk(c, chunk, tensor, lane);
    } else {
      if (control.skip == 0u) { average_idle(chunk, tensor, lane); }
      stand_still(c, chunk, lane);
    }
  }
}
