// What a rule wants to know before it updates: its own `prepare_rule`, on the gradient that `update_rule` will see.

fn prepared(at: u32, theta: Lane, grad: Lane, group: GroupRecord, step_row: StepRow) -> Prepared {
  return prepare_rule(at, theta, decayed_gradient(at, theta, grad, group), group.lr, group.hyper, step_row);
}
