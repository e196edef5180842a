// Decay with modifiers: `toward` (an anchor a other than zero), `cautious`, `l1`; in any mode. And cautious updates.
//   g <- g + lambda (theta - a),  delta = s u + d (theta - a)

override COUPLED: bool = false;         // as in decay/plain.wgsl; here the factor alone decides
override ANCHOR_SLOT: u32 = 0;          // state slot of the anchors, with `toward`

fn pull_of(at: u32, theta: Lane, group: GroupRecord) -> Lane {
  if ((group.modifiers & TOWARD) != 0u) { return theta - load_state(ANCHOR_SLOT, at); }
  return theta;
}

fn decayed_gradient(at: u32, theta: Lane, grad: Lane, group: GroupRecord) -> Lane {
  let pull = pull_of(at, theta, group);
  var g = grad + group.coupled * pull;
  if ((group.modifiers & L1_COUPLED) != 0u) { g += group.l1 * sign(pull); }
  return g;
}

fn decayed_update(at: u32, theta: Lane, grad: Lane, group: GroupRecord, step_row: StepRow) -> Lane {
  let pull = pull_of(at, theta, group);
  let g = decayed_gradient(at, theta, grad, group);
  var u = update_rule(at, theta, g, group.lr, group.hyper, step_row);
  if ((group.modifiers & CAUTIOUS_UPDATE) != 0u) {
    u *= cautious_scale * select(Lane(group.cautious_factor), Lane(1.0), sign(u) * sign(g) > Lane(0.0));
  }

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
