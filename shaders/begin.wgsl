// State slots that begin with the parameters as they are: masters, anchors, slow weights, averages; or with NaN, where they are made
// later. One invocation takes every so many packed elements of a window.

#import storage
#import params
#import lib/records
#import state

override WORKGROUP_SIZE: u32 = 64;
override SLOTS: u32 = 0;          // bit by slot: it begins with the parameters
override LATER_SLOTS: u32 = 0;    // bit by slot: it begins with NaN

@group(0) @binding(0) var<uniform> header: Header;                             // not used
@group(0) @binding(1) var<uniform> window: Window;
@group(0) @binding(2) var<storage, read_write> params: array<ParamWord>;       // of this window; only read
@group(0) @binding(3) var<storage, read_write> state: array<StateWord>;        // [slot][element] of this window

@compute @workgroup_size(WORKGROUP_SIZE)
fn begin(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u,
         @builtin(local_invocation_index) lane: u32) {
  // The binding of a tensor in a caller's buffer ends with the tensor, the room for its state does not.
  let count = bounded(min(window.state_stride, arrayLength(&params)), arrayLength(&state));
  for (var at = workgroup.x * WORKGROUP_SIZE + lane; at < count; at += workgroups.x * WORKGROUP_SIZE) {
    let theta = load_param(at);
    for (var slot = 0u; slot < 32u; slot++) {
      if (((SLOTS >> slot) & 1u) != 0u) { store_state(slot, at, theta); }
      if (((LATER_SLOTS >> slot) & 1u) != 0u) { store_state(slot, at, lane_from_bits(LaneBits(0x7fc00000u))); }
    }
  }
}
