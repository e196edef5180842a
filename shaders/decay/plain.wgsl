// Decay toward zero, in any mode: the modes are choices of the three factors.
//   g <- g + lambda theta,  delta = s u + d theta

override COUPLED: bool = false;         // some group uses coupled decay

fn decayed_update(at: u32, theta: Lane, grad: Lane, group: GroupRecord, step_row: StepRow) -> Lane {
  var g = grad;
  if (COUPLED) { g += group.coupled * theta; }
  return group.shrink * update_rule(at, theta, g, group.lr, group.hyper, step_row) + group.decay * theta;
}
