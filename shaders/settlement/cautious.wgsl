// Scales of cautious updates, by the conventions of
//   timm         1 / max(mean(mask), 1e-3)
//   C-Optim      size / (sum(mask) + 1)
//   lucidrains   1 / max(mean(scale), 1e-5), scale = 1 where the mask is, else the factor

fn settle_tensor(k: u32, sums: vec2f) {
  let group = group_of(k);
  let size = f32(control.tensors[k].size);
  var scale = 1.0 / max(sums.x / size, 1e-3);
  if ((group.modifiers & CAUTIOUS_C_OPTIM) != 0u) { scale = size / (sums.x + 1.0); }
  if ((group.modifiers & CAUTIOUS_LUCIDRAINS) != 0u) {
    scale = 1.0 / max((sums.x + group.cautious_factor * (size - sums.x)) / size, 1e-5);
  }
  control.tensors[k].cautious = scale;
}

fn settle_together(k: u32, sums: vec2f) {}
