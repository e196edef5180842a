// The rule's numbers for all its tensors together: `settle_all`, with the options of one of its groups and the row of the number of
// updates.

fn settle_tensor(k: u32, sums: vec2f) {}

fn settle_together(k: u32, sums: vec2f) {
  let group = group_of(k);
  let count = applied_step(header.step, control.skipped);
  let before = vec4f(control.s0, control.s1, control.s2, control.s3);
  let s = Settling(sums, 0.0, group.lambda, group.rule_decay, first_decay_of(group), count == 1u, before);
  let n = settle_all(s, group.lr, group.hyper, step_row_of(count, group));
  control.s0 = n.x;
  control.s1 = n.y;
  control.s2 = n.z;
  control.s3 = n.w;
}
