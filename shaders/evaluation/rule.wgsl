// The parameters to evaluate are the rule's; a tensor that was never updated stays as it is.

fn is_evaluated(count: u32) -> bool { return count > 0u; }

fn evaluated(at: u32, theta: Lane, opened: Opened) -> Lane {
  return evaluation_point(at, theta, opened.group.hyper, opened.step_row);
}
