// Stage 3, update: THE fused pass. A workgroup walks over chunks; each invocation loads four elements of gradient, parameter and
// state at a time, and does
//   g <- grad * factor,  clamped to +- clip_value           unscale and clip: the factor comes from `control`
//   g <- g + lambda (theta - a)                             coupled decay
//   u <- rule(g)                                            the optimizer, which also stores its state
//   theta <- theta - (s u + d (theta - a))                  one subtraction: 1 - d would lose a small d in float32
// and, where figures are wanted, sums |theta|^2, |delta theta|^2 and |g|^2 on the way (one partial per invocation and chunk).
// A skipped step and a tensor without a gradient change nothing.
//
// A rule must give u = 0 and keep its state 0 where theta, g and state are 0: so the padding of a segment stays zero.

#import lib/records
#import lib/norm
#import lib/reduce
#import storage
#import lib/lane-norm
#import rule
#import lib/group-record

override WORKGROUP_SIZE: u32 = 64;
override FIGURES: bool = false;         // store partials for the norms of parameter and update
override FIGURES_GRAD: bool = false;    // and of the gradient, where no `measure` has seen it
override COUPLED: bool = false;         // some group uses coupled decay
override MODIFIED: bool = false;        // some group uses cautious, toward or l1
override CLIP_VALUE: bool = false;      // some group clips by value
override KEEP_NON_FINITE: bool = false; // non-finite gradients are not skipped: they must survive clipping
override ANCHOR_SLOT: u32 = 0;          // state slot of the anchors, with `toward`

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
    } else if (FIGURES) {
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
  var theta_norm = NORM_ZERO;
  var delta_norm = NORM_ZERO;
  var clipped_norm = NORM_ZERO;
  var grad = PARTIAL_ZERO;

  for (var i = lane; i < chunk.z; i += WORKGROUP_SIZE) {
    let at = chunk.y + i;
    let theta = unpack(params[at]);
    let raw = grads[at];
    var g = unpack(raw) * factor;
    if (KEEP_NON_FINITE) { g = keep_non_finite(g, lane_bits(raw), factor); }
    if (CLIP_VALUE) { g = select(clamp(g, Lane(-group.clip_value), Lane(group.clip_value)), g, lane_nan(lane_bits(raw))); }
    let clipped = g;
    g *= group.grad_scale;

    var delta: Lane;
    if (MODIFIED) {
      delta = modified_delta(at, theta, g, group, step_row);
    } else {
      if (COUPLED) { g += group.coupled * theta; }
      delta = group.shrink * update_rule(at, theta, g, group.lr, group.hyper, step_row) + group.decay * theta;
    }
    let updated = theta - delta;
    params[at] = pack(updated);

    if (FIGURES) {
      theta_norm = norm_add_squares(theta_norm, updated);
      delta_norm = norm_add_squares(delta_norm, delta);
      if (FIGURES_GRAD) {
        let bits = lane_bits(raw);
        grad.count = count_join(grad.count, non_finite_count(bits));
        let magnitude = lane_from_bits(select(bits & LaneBits(0x7fffffffu), LaneBits(0u), lane_non_finite(bits)));
        grad.norm = norm_add_squares(grad.norm, magnitude);
        grad.max = max(grad.max, lane_max(magnitude));
      }
      if (CLIP_VALUE) { clipped_norm = norm_add_squares(clipped_norm, clipped); }
    }
  }

  if (FIGURES) { store_partials(c, lane, theta_norm, delta_norm, grad, clipped_norm); }
}

// Decay with modifiers: `toward` (an anchor a other than zero), `cautious`, `l1`.
fn modified_delta(at: u32, theta: Lane, grad: Lane, group: GroupRecord, step_row: StepRow) -> Lane {
  var anchor = Lane(0.0);
  if ((group.modifiers & TOWARD) != 0u) { anchor = load_state(ANCHOR_SLOT, at); }
  let pull = theta - anchor;
  var g = grad + group.coupled * pull;
  if ((group.modifiers & L1_COUPLED) != 0u) { g += group.l1 * sign(pull); }
  let u = update_rule(at, theta, g, group.lr, group.hyper, step_row);

  var decay = group.decay * pull;
  if ((group.modifiers & CAUTIOUS) != 0u) { decay = select(Lane(0.0), decay, u * pull >= Lane(0.0)); }
  if ((group.modifiers & L1_PROXIMAL) != 0u) {
    // theta' = theta - u, soft-thresholded around the anchor by kappa, then divided by 1 + lr lambda: the division is s.
    let stepped = pull - u;
    let kept = sign(stepped) * max(abs(stepped) - group.l1, Lane(0.0));
    return pull - group.shrink * kept;
  }
  var delta = group.shrink * u + decay;
  if ((group.modifiers & L1_COUPLED) == 0u) { delta += sign(pull) * min(Lane(group.l1), abs(pull)); }
  return delta;
}

// What IEEE arithmetic gives for raw * factor, by bits: NaN where either is NaN or an infinity meets factor 0.
fn keep_non_finite(g: Lane, raw: LaneBits, factor: f32) -> Lane {
  let factor_bits = bitcast<u32>(factor);
  let lost = (factor_bits & 0x7fffffffu) > 0x7f800000u || factor == 0.0;
  let bad = lane_non_finite(raw);
  var bits = select(lane_bits(pack(g)), raw, bad);
  if (lost) { bits = select(bits, LaneBits(0x7fc00000u), bad); }
  if (lost && factor != 0.0) { bits = LaneBits(0x7fc00000u); }
  return lane_from_bits(bits);
}

// A chunk that is not updated still has a norm.
fn stand_still(c: u32, chunk: vec4u, lane: u32) {
  var theta_norm = NORM_ZERO;
  for (var i = lane; i < chunk.z; i += WORKGROUP_SIZE) { theta_norm = norm_add_squares(theta_norm, unpack(params[chunk.y + i])); }
  store_partials(c, lane, theta_norm, NORM_ZERO, PARTIAL_ZERO, NORM_ZERO);
}

// Regions: 0 gradient, 1 theta and delta, 2 gradient after clipping by value.
fn store_partials(c: u32, lane: u32, theta: Norm, delta: Norm, grad: Partial, clipped: Norm) {
  let at = c * WORKGROUP_SIZE + lane;
  let region = header.chunk_count * WORKGROUP_SIZE;
  if (FIGURES_GRAD) { partials[at] = partial_pack(grad); }
  partials[region + at] = vec4u(bitcast<u32>(theta.sum), bitcast<u32>(theta.exponent), bitcast<u32>(delta.sum), bitcast<u32>(delta.exponent));
  if (CLIP_VALUE) { partials[2u * region + at] = partial_pack(Partial(clipped, 0.0, 0u)); }
}
