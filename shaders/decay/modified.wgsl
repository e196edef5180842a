// Decay with modifiers: `toward` (an anchor a other than zero), `cautious`, `l1`; in any mode.
//   g <- g + lambda (theta - a),  delta = s u + d (theta - a)

override COUPLED: bool = false;         // as in decay/plain.wgsl; here the factor alone decides
override ANCHOR_SLOT: u32 = 0;          // state slot of the anchors, with `toward`

fn decayed_update(at: u32, theta: Lane, grad: Lane, group: GroupRecord, step_row: StepRow) -> Lane {
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
