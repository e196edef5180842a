// What holds for all elements of a chunk: its group's record, the row of its tensor's step count, what its gradients are
// multiplied by, and the rule's inputs.

override NUMBERS: bool = false;   // the rule has numbers of its own
override CAUTIOUS_UPDATES: bool = false; // some group updates cautiously
override ESTIMATES: bool = false; // gradients are unscaled but not clipped
override EXTRA_STATE: bool = false; // the rule has state that is not one number per element
override BY_UPDATE: bool = false; // step rows go by the number of updates, not by the tensor's own
override DECAY_FROM: u32 = 1;     // the own step count from which a tensor is decayed

struct Opened {
  group: GroupRecord,
  step_row: StepRow,
  factor: f32,
}

fn open_chunk(chunk: vec4u, tensor: vec4u) -> Opened {
  let row = applied_step(header.step, control.skipped) & header.record_mask;
  var group = records[row * header.group_count + tensor.x];
  let count = header.step - tensor.y - control.tensors[chunk.x].skipped;
  if (DECAY_FROM > 1u && count < DECAY_FROM) {
    group.decay = 0.0;
    group.shrink = 1.0;
    // Decay that is part of the gradient acts from the first step on.
    if ((group.modifiers & L1_COUPLED) == 0u) { group.l1 = 0.0; }
  }
  if (NUMBERS) {
    tensor_numbers = vec4f(control.tensors[chunk.x].n0, control.tensors[chunk.x].n1, control.tensors[chunk.x].n2, control.tensors[chunk.x].n3);
    shared_numbers = vec4f(control.s0, control.s1, control.s2, control.s3);
    rule_decay = group.rule_decay;
    first_decay = first_decay_of(group);
  }
  if (EXTRA_STATE) {
    let of_tensor = control.tensors[chunk.x];
    factored = Factored(of_tensor.extra, of_tensor.size, of_tensor.rows, of_tensor.cols, of_tensor.inner);
  }
  if (CAUTIOUS_UPDATES) { cautious_scale = control.tensors[chunk.x].cautious; }
  units = vec2u(control.tensors[chunk.x].units, max(1u, control.tensors[chunk.x].unit_size));
  chunk_begin = chunk.y;
  chunk_element = chunk.w;
  own_count = count;
  rounding_begin(control.tensors[chunk.x].rounding, count, chunk);
  let by = select(count, applied_step(header.step, control.skipped), BY_UPDATE);
  let factor = select(control.tensors[chunk.x].factor, header.unscale / control.loss_scale, ESTIMATES);
  return Opened(group, step_rows[group.first_step_row + min(by, group.last_step_row)], factor);
}

// One number of the state that is not one per element.
fn load_extra(i: u32) -> f32 {
  return load_number(factored.extra + i);
}

// Whole lanes of it, which begin with number `i`: components of a vector must not be written one by one.
fn load_extra_lane(i: u32) -> Lane { return load_numbers(factored.extra + i); }
fn store_extra_lane(i: u32, value: Lane) { store_numbers(factored.extra + i, value); }

// The end of a chunk.
fn chunk_end(chunk: vec4u) -> u32 {
  return chunk.y + bounded(chunk.z, max(arrayLength(&state), max(arrayLength(&params), arrayLength(&grads))));
}

// Numbers of the elements `at` in their tensor.
fn element_ids(at: u32) -> LaneBits {
  return lane_ids(chunk_element + (at - chunk_begin) * LANES);
}
