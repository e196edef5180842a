// Decay toward zero, in any mode: the modes are choices of the three factors.
//   g <- g + lambda theta,  delta = s u + d theta

override COUPLED: bool = false;         // some group uses coupled decay

fn decayed_gradient(at: u32, theta: Lane, grad: Lane, group: GroupRecord) -> Lane {
  if (COUPLED) { return grad + group.coupled * theta; }
  return grad;
}

fn decayed_update(at: u32, theta: Lane, grad: Lane, group: GroupRecord, step_row: StepRow) -> Lane {
  let g = decayed_gradient(at, theta, grad, group);
  return group.shrink * update_rule(at, theta, g, group.lr, group.hyper, step_row) + group.decay * theta;
}
