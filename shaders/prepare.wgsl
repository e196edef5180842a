// Stage 2a, prepare: for rules that need sums over a tensor before they may update, and for cautious updates. The same walk over
// chunks as in `update`, on the same gradients; parameters stay as they are. Each invocation stores, per chunk, two sums.

#import lib/records
#import storage
#import params
#import grads
#import lib/rule-inputs
#import rule
#import lib/group-record
#import lib/gradient
#import lib/chunk
#import state
#import around
#import decay
#import preparation

override WORKGROUP_SIZE: u32 = 64;

@group(0) @binding(0) var<uniform> header: Header;
@group(0) @binding(1) var<uniform> window: Window;
@group(0) @binding(2) var<storage, read> table: array<vec4u>;                  // tensor rows, then chunk rows
@group(0) @binding(3) var<storage, read> records: array<GroupRecord>;          // [update][group], a ring
@group(0) @binding(4) var<storage, read> step_rows: array<StepRow>;            // by a tensor's own step count, 1 first
@group(0) @binding(5) var<storage, read> control: Control;
@group(0) @binding(6) var<storage, read_write> params: array<ParamWord>;       // of this window; only read
@group(0) @binding(7) var<storage, read_write> grads: array<GradWord>;         // only read; read_write so that it may share a buffer with params
@group(0) @binding(8) var<storage, read_write> state: array<StateWord>;        // [slot][element] of this window
@group(0) @binding(9) var<storage, read_write> partials: array<vec4u>;         // [chunk][invocation]: bits of two sums

@compute @workgroup_size(WORKGROUP_SIZE)
fn prepare(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u,
           @builtin(local_invocation_index) lane: u32) {
  for (var c = window.chunk_begin + workgroup.x; c < window.chunk_end; c += workgroups.x) {
    let chunk = table[header.tensor_count + 1u + c];
    let tensor = table[chunk.x];
    var sums = vec2f(0.0);
    // An estimate is no step: whether the last one was skipped does not matter.
    if (tensor.z != 0u && (ESTIMATES || control.skip == 0u)) { sums = prepare_chunk(chunk, tensor, lane); }
    partials[c * WORKGROUP_SIZE + lane] = vec4u(bitcast<vec2u>(sums), 0u, 0u);
  }
}

fn prepare_chunk(chunk: vec4u, tensor: vec4u, lane: u32) -> vec2f {
  let opened = open_chunk(chunk, tensor);
  let group = opened.group;
  opening(chunk, lane);
  let end = chunk_end(chunk);
  var folded = Prepared(Lane(0.0), Lane(0.0));
  for (var begin = chunk.y + lane; begin < end; begin += FOLD_EVERY * WORKGROUP_SIZE) {
    var block = Prepared(Lane(0.0), Lane(0.0));
    for (var at = begin; at < min(begin + FOLD_EVERY * WORKGROUP_SIZE, end); at += WORKGROUP_SIZE) {
      let g = clipped_gradient(load_grad(at), at, opened.factor, group.clip_value);
      let seen = prepared(at, load_param(at), g * group.grad_scale, group, opened.step_row);
      block.a += seen.a;
      block.b += seen.b;
    }
    folded.a += block.a;
    folded.b += block.b;
  }
  return vec2f(lane_sum(folded.a), lane_sum(folded.b));
}
