// Averages of the parameters over the steps, each in a state slot of its own.
//   lookahead, where a round ends:  slow <- slow + alpha (theta - slow),  theta <- slow      slow is theta where it is NaN: not there yet
//   average:                        avg <- avg + w (theta - avg)          w = 1 - decay (EMA) or 1 / (n + 1) (SWA)
// Source: Zhang et al. (2019), arXiv:1907.08610; Polyak & Juditsky (1992); Izmailov et al. (2018), arXiv:1803.05407.

override LOOKAHEAD: bool = false;
override AVERAGE: bool = false;
override LOOKAHEAD_SLOT: u32 = 0;
override AVERAGE_SLOT: u32 = 0;

fn averaged(at: u32, theta: Lane, group: GroupRecord) -> Lane {
  var result = theta;
  if (LOOKAHEAD) {
    if (group.lookahead > 0.0) {
      let slow = load_state(LOOKAHEAD_SLOT, at);
      result = select(toward(slow, theta, group.lookahead), theta, is_nan(lane_bits(slow)));
      store_state(LOOKAHEAD_SLOT, at, result);
    }
  }
  if (AVERAGE) { average_in(at, result, group.average); }
  return result;
}

fn average_in(at: u32, theta: Lane, weight: f32) {
  if (weight > 0.0) { store_state(AVERAGE_SLOT, at, toward(load_state(AVERAGE_SLOT, at), theta, weight)); }
}

// Exactly theta with weight 1.
fn toward(average: Lane, theta: Lane, weight: f32) -> Lane {
  if (weight == 1.0) { return theta; }
  return average + weight * (theta - average);
}

// A tensor that takes no part in a step is averaged all the same.
fn average_idle(chunk: vec4u, tensor: vec4u, lane: u32) {
  if (!AVERAGE) { return; }
  let row = applied_step(header.step, control.skipped) & header.record_mask;
  let weight = records[row * header.group_count + tensor.x].average;
  for (var i = lane; i < chunk.z; i += WORKGROUP_SIZE) {
    average_in(chunk.y + i, load_param(chunk.y + i), weight);
  }
}
