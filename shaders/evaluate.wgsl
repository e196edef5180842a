// Puts the parameters to evaluate in the place of those that are trained, where they differ. The same walk over chunks as in `update`.

#import lib/records
#import storage
#import params
#import grads
#import lib/rule-inputs
#import rule
#import lib/group-record
#import lib/chunk
#import state
#import evaluation

override WORKGROUP_SIZE: u32 = 64;

@group(0) @binding(0) var<uniform> header: Header;                             // of the step to come
@group(0) @binding(1) var<uniform> window: Window;
@group(0) @binding(2) var<storage, read> table: array<vec4u>;                  // tensor rows, then chunk rows
@group(0) @binding(3) var<storage, read> records: array<GroupRecord>;          // [update][group], a ring
@group(0) @binding(4) var<storage, read> step_rows: array<StepRow>;            // by a tensor's own step count, 1 first
@group(0) @binding(5) var<storage, read> control: Control;
@group(0) @binding(6) var<storage, read_write> params: array<ParamWord>;       // of this window
@group(0) @binding(7) var<storage, read_write> grads: array<GradWord>;         // not used
@group(0) @binding(8) var<storage, read_write> state: array<StateWord>;        // [slot][element] of this window; only read
@group(0) @binding(9) var<storage, read_write> partials: array<vec4u>;         // not used

@compute @workgroup_size(WORKGROUP_SIZE)
fn evaluate(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u,
            @builtin(local_invocation_index) lane: u32) {
  for (var c = window.chunk_begin + workgroup.x; c < window.chunk_end; c += workgroups.x) {
    let chunk = table[header.tensor_count + 1u + c];
    let tensor = table[chunk.x];
    // Updates so far: one less than the step to come would make.
    if (!is_evaluated(header.step - tensor.y - control.tensors[chunk.x].skipped - 1u)) { continue; }
    let opened = open_chunk(chunk, tensor);
    let end = chunk_end(chunk);
    for (var at = chunk.y + lane; at < end; at += WORKGROUP_SIZE) {
      show_param(at, evaluated(at, load_param(at), opened));
    }
  }
}
