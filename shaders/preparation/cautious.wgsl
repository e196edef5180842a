// How many updates have the sign of their gradient: the rule is run without storing anything.

fn prepared(at: u32, theta: Lane, grad: Lane, group: GroupRecord, step_row: StepRow) -> Prepared {
  let g = decayed_gradient(at, theta, grad, group);
  let u = update_rule(at, theta, g, group.lr, group.hyper, step_row);
  return Prepared(select(Lane(0.0), Lane(1.0), sign(u) * sign(g) > Lane(0.0)), Lane(0.0));
}
