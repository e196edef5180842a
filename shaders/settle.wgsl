// Stage 2b, settle. One workgroup turns the sums of `prepare` into numbers per tensor, and for some rules into numbers for all
// tensors of the rule together: trust ratios, second moments of whole tensors, the step size of Prodigy. Nothing is read back, and
// in a step that is skipped nothing changes.
//
// The rule's file is linked whole. Its functions on elements are not called here, but what they name must be there.

#import lib/records
#import storage/f32
#import lib/rule-inputs
#import rule
#import lib/group-record
#import settlement

override WORKGROUP_SIZE: u32 = 64;
override RULE: u32 = 0;           // which of the optimizer's rules this is
override BY_UPDATE: bool = false; // as in lib/chunk.wgsl
override SUMS: bool = false;      // there are sums of `prepare`

fn load_param(at: u32) -> Lane { return 0.0; }
fn load_state(slot: u32, at: u32) -> Lane { return 0.0; }
fn store_state(slot: u32, at: u32, value: Lane) {}
fn element_ids(at: u32) -> LaneBits { return at; }
fn load_extra(i: u32) -> f32 { return 0.0; }
fn load_extra_lane(i: u32) -> Lane { return 0.0; }
fn store_extra_lane(i: u32, value: Lane) {}

@group(0) @binding(0) var<uniform> header: Header;
@group(0) @binding(1) var<storage, read> table: array<vec4u>;                  // tensor rows, then chunk rows
@group(0) @binding(2) var<storage, read> records: array<GroupRecord>;          // [update][group], a ring
@group(0) @binding(3) var<storage, read> step_rows: array<StepRow>;            // by a tensor's own step count, 1 first
@group(0) @binding(4) var<storage, read_write> control: Control;
@group(0) @binding(5) var<storage, read_write> partials: array<vec4u>;         // [chunk][invocation]; [chunk][0] holds its sums after

var<workgroup> wg_sums: array<vec2f, WORKGROUP_SIZE>;
var<workgroup> wg_any: array<u32, WORKGROUP_SIZE>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn settle(@builtin(local_invocation_index) lane: u32) {
  if (SUMS) {
    for (var c = lane; c < header.chunk_count; c += WORKGROUP_SIZE) {
      let sums = bitcast<vec2u>(sum_of(c * WORKGROUP_SIZE, WORKGROUP_SIZE, 1u));
      partials[c * WORKGROUP_SIZE] = vec4u(sums, 0u, 0u);
    }
  }
  storageBarrier();

  var mine = vec2f(0.0);
  var any = 0u;
  for (var k = lane; k < header.tensor_count; k += WORKGROUP_SIZE) {
    if (control.tensors[k].rule != RULE || table[k].z == 0u || control.skip != 0u) { continue; }
    var sums = vec2f(0.0);
    if (SUMS) { sums = sum_of(table[k].w * WORKGROUP_SIZE, table[k + 1u].w - table[k].w, WORKGROUP_SIZE); }
    mine += sums;
    any = k + 1u;
    settle_tensor(k, sums);
  }
  wg_sums[lane] = mine;
  wg_any[lane] = any;
  workgroupBarrier();

  if (lane == 0u) {
    var all = vec2f(0.0);
    var some = 0u;
    for (var i = 0u; i < WORKGROUP_SIZE; i++) {
      all += wg_sums[i];
      some = max(some, wg_any[i]);
    }
    if (some > 0u) { settle_together(some - 1u, all); }
  }
}

// In blocks of 32, so that the rounding of a long sum stays small.
fn sum_of(first: u32, count: u32, stride: u32) -> vec2f {
  var outer = vec2f(0.0);
  for (var begin = 0u; begin < count; begin += 32u) {
    var inner = vec2f(0.0);
    for (var i = begin; i < min(begin + 32u, count); i++) { inner += bitcast<vec2f>(partials[first + i * stride].xy); }
    outer += inner;
  }
  return outer;
}

fn group_of(k: u32) -> GroupRecord {
  let row = applied_step(header.step, control.skipped) & header.record_mask;
  return records[row * header.group_count + table[k].x];
}

fn count_of(k: u32) -> u32 {
  return header.step - table[k].y - control.tensors[k].skipped;
}

fn step_row_of(count: u32, group: GroupRecord) -> StepRow {
  let by = select(count, applied_step(header.step, control.skipped), BY_UPDATE);
  return step_rows[group.first_step_row + min(by, group.last_step_row)];
}
