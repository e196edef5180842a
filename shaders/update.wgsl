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
  // |delta theta| is about lr, a clipped gradient at most clip_value: scaled by these their squares are ordinary numbers.
  let delta_exponent = max(exponent_of(group.lr), -40);
  let clipped_exponent = exponent_of(group.clip_value);
  let delta_scale = pow2(-delta_exponent);
  let clipped_scale = pow2(-clipped_exponent);
  var theta_squares = Lane(0.0);
  var delta_squares = Lane(0.0);
  var clipped_squares = Lane(0.0);
  var grad_squares = Lane(0.0);
  var grad_tops = LaneBits(0u);

  for (var i = lane; i < chunk.z; i += WORKGROUP_SIZE) {
    let at = chunk.y + i;
    let theta = unpack(params[at]);
    let raw = grads[at];
    var g = unpack(raw) * factor;
    if (KEEP_NON_FINITE) { g = keep_non_finite(g, lane_bits(raw), factor); }
    if (CLIP_VALUE) {
      let nan = lane_nan(select(lane_bits(raw), lane_bits(pack(g)), KEEP_NON_FINITE));
      g = select(clamp(g, Lane(-group.clip_value), Lane(group.clip_value)), g, nan);
    }
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
      theta_squares += updated * updated;
      let scaled_delta = delta * delta_scale;
      delta_squares += scaled_delta * scaled_delta;
      if (FIGURES_GRAD) {
        grad_squares += unpack(raw) * unpack(raw);
        grad_tops = max(grad_tops, lane_bits(raw) & LaneBits(0x7fffffffu));
      }
      if (CLIP_VALUE) {
        let scaled_clipped = clipped * clipped_scale;
        clipped_squares += scaled_clipped * scaled_clipped;
      }
    }
  }

  if (FIGURES) {
    let at = c * WORKGROUP_SIZE + lane;
    if (FIGURES_GRAD) { partials[at] = partial_pack(grad_partial(grad_squares, lane_top(grad_tops), chunk, lane)); }
    store_norms(at, Norm(lane_sum(theta_squares), 0), Norm(lane_sum(delta_squares), delta_exponent));
    if (CLIP_VALUE) {
      let clipped = Partial(Norm(lane_sum(clipped_squares), clipped_exponent), 0.0, 0u);
      partials[2u * header.chunk_count * WORKGROUP_SIZE + at] = partial_pack(clipped);
    }
  }
}

fn grad_partial(squares: Lane, top: u32, chunk: vec4u, lane: u32) -> Partial {
  if (glance_suffices(top)) { return glance_partial(squares, top); }
  var careful = PARTIAL_ZERO;
  for (var i = lane; i < chunk.z; i += WORKGROUP_SIZE) { careful = partial_add(careful, lane_bits(grads[chunk.y + i]), 2.0); }
  return careful;
}

// Regions of the partials: 0 gradient, 1 theta and delta, 2 gradient after clipping by value.
fn store_norms(at: u32, theta: Norm, delta: Norm) {
  partials[header.chunk_count * WORKGROUP_SIZE + at] =
    vec4u(bitcast<u32>(theta.sum), bitcast<u32>(theta.exponent), bitcast<u32>(delta.sum), bitcast<u32>(delta.exponent));
}

// Decay with modifiers: `toward` (an anchor a other than zero), `cautious`, `l1`.
fn modified_delta(at: u32, theta: Lane, grad: Lane, group: GroupRecord, step_row: StepRow) -> Lane {
  var anchor = Lane(0.0);
  if ((group.modifiers & TOWARD) != 0u) { anchor = load_state(ANCHOR_SLOT, at); }
  let pull = theta - anchor;
  var g = grad + group.coupled * pull;
  if ((group.modifiers & L1_COUPLED) != 0u) { g += group.l1 * sign(pull); }
  let u = update_rule(at, theta, g, group.lr, group.hyper, step_row);

  var delta = group.shrink * u + group.decay * pull;
  if ((group.modifiers & L1_PROXIMAL) != 0u) {
    // theta - u, soft-thresholded around the anchor by kappa, then divided by 1 + lr lambda: the division is s.
    let stepped = pull - u;
    delta = pull - group.shrink * sign(stepped) * max(abs(stepped) - group.l1, Lane(0.0));
  } else if ((group.modifiers & L1_COUPLED) == 0u) {
    delta += sign(pull) * min(Lane(group.l1), abs(pull));
  }
  if ((group.modifiers & CAUTIOUS) != 0u) { delta = select(u, delta, u * pull >= Lane(0.0)); }
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
  var squares = Lane(0.0);
  for (var i = lane; i < chunk.z; i += WORKGROUP_SIZE) {
    let theta = unpack(params[chunk.y + i]);
    squares += theta * theta;
  }
  let at = c * WORKGROUP_SIZE + lane;
  if (FIGURES_GRAD) { partials[at] = partial_pack(PARTIAL_ZERO); }
  store_norms(at, Norm(lane_sum(squares), 0), NORM_ZERO);
  if (CLIP_VALUE) { partials[2u * header.chunk_count * WORKGROUP_SIZE + at] = partial_pack(PARTIAL_ZERO); }
}
