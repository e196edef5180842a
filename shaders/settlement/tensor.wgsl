// The rule's numbers of every tensor: `settle_rule`.

fn settle_tensor(k: u32, sums: vec2f) {
  let group = group_of(k);
  let count = count_of(k);
  let before = vec4f(control.tensors[k].n0, control.tensors[k].n1, control.tensors[k].n2, control.tensors[k].n3);
  let s = Settling(sums, f32(control.tensors[k].size), group.lambda, group.rule_decay, first_decay_of(group), count == 1u, before);
  let n = settle_rule(s, group.lr, group.hyper, step_row_of(count, group));
  control.tensors[k].n0 = n.x;
  control.tensors[k].n1 = n.y;
  control.tensors[k].n2 = n.z;
  control.tensors[k].n3 = n.w;
}

fn settle_together(k: u32, sums: vec2f) {}
