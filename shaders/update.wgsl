// Stage 3, update: THE fused pass. A workgroup walks over chunks; each invocation loads four elements of gradient, parameter and
// state at a time, and does
//   g <- grad * factor,  clamped to +- clip_value           unscale and clip: the factor comes from `control`
//   g <- g + lambda (theta - a)                             coupled decay
//   u <- rule(g)                                            the optimizer, which also stores its state
//   theta <- theta - (s u + d (theta - a))                  one subtraction: 1 - d would lose a small d in float32
// and, where figures are wanted, sums squares on the way. A skipped step and a tensor without a gradient change nothing.
//
// A rule must give u = 0 where theta and g are 0 and always were: so the padding of a segment stays zero.

#import lib/records
#import storage
#import rule
#import lib/group-record
#import decay
#import figures

override WORKGROUP_SIZE: u32 = 64;
override CLIP_VALUE: bool = false;      // some group clips by value
override KEEP_NON_FINITE: bool = false; // non-finite gradients are not skipped: they must survive clipping

@group(0) @binding(0) var<uniform> header: Header;
@group(0) @binding(1) var<uniform> window: Window;
@group(0) @binding(2) var<storage, read> table: array<vec4u>;                  // tensor rows, then chunk rows
@group(0) @binding(3) var<storage, read> records: array<GroupRecord>;          // [update][group], a ring
@group(0) @binding(4) var<storage, read> step_rows: array<StepRow>;            // by a tensor's own step count, 1 first
@group(0) @binding(5) var<storage, read> control: Control;
@group(0) @binding(6) var<storage, read_write> params: array<Packed>;          // of this window
@group(0) @binding(7) var<storage, read_write> grads: array<Packed>;           // only read; read_write so that it may share a buffer with params
@group(0) @binding(8) var<storage, read_write> state: array<Packed>;           // [slot][element] of this window
@group(0) @binding(9) var<storage, read_write> partials: array<vec4u>;         // [region][chunk][invocation]

fn load_state(slot: u32, at: u32) -> Lane {
  return unpack(state[slot * window.state_stride + at]);
}

fn store_state(slot: u32, at: u32, value: Lane) {
  state[slot * window.state_stride + at] = pack(value);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn update(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u,
          @builtin(local_invocation_index) lane: u32) {
  for (var c = window.chunk_begin + workgroup.x; c < window.chunk_end; c += workgroups.x) {
    let chunk = table[header.tensor_count + 1u + c];
    let tensor = table[chunk.x];
    if (tensor.z != 0u && control.skip == 0u) {
      update_chunk(c, chunk, tensor, lane);
    } else {
      stand_still(c, chunk, lane);
    }
  }
}

fn update_chunk(c: u32, chunk: vec4u, tensor: vec4u, lane: u32) {
  let row = applied_step(header.step, control.skipped) & header.record_mask;
  let group = records[row * header.group_count + tensor.x];
  let count = header.step - tensor.y - control.tensors[chunk.x].skipped;
  let step_row = step_rows[group.first_step_row + min(count, group.last_step_row)];
  let factor = control.tensors[chunk.x].factor;
  var sums = sums_begin(group);

  for (var begin = lane; begin < chunk.z; begin += FOLD_EVERY * WORKGROUP_SIZE) {
    for (var i = begin; i < min(begin + FOLD_EVERY * WORKGROUP_SIZE, chunk.z); i += WORKGROUP_SIZE) {
      let at = chunk.y + i;
      let theta = unpack(params[at]);
      let raw = grads[at];
      var g = unpack(raw) * factor;
      if (KEEP_NON_FINITE) { g = keep_non_finite(g, lane_bits(raw), factor); }
      if (CLIP_VALUE) {
        let nan = is_nan(select(lane_bits(raw), lane_bits(pack(g)), KEEP_NON_FINITE));
        g = select(clamp(g, Lane(-group.clip_value), Lane(group.clip_value)), g, nan);
      }
      let delta = decayed_update(at, theta, g * group.grad_scale, group, step_row);
      let updated = theta - delta;
      params[at] = pack(updated);
      sums_add(&sums, raw, g, updated, delta);
    }
    sums_fold(&sums);
  }

  sums_store(sums, c, chunk, lane);
}

fn is_nan(bits: LaneBits) -> LaneMask {
  return (bits & LaneBits(0x7fffffffu)) > LaneBits(0x7f800000u);
}

// What IEEE arithmetic gives for raw * factor, by bits: NaN where either is NaN or an infinity meets factor 0.
fn keep_non_finite(g: Lane, raw: LaneBits, factor: f32) -> Lane {
  let factor_bits = bitcast<u32>(factor);
  let lost = (factor_bits & 0x7fffffffu) > 0x7f800000u || factor == 0.0;
  let bad = (raw & LaneBits(0x7f800000u)) == LaneBits(0x7f800000u);
  var bits = select(lane_bits(pack(g)), raw, bad);
  if (lost) { bits = select(bits, LaneBits(0x7fc00000u), bad); }
  if (lost && factor != 0.0) { bits = LaneBits(0x7fc00000u); }
  return lane_from_bits(bits);
}
