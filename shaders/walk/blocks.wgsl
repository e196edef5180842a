// An invocation takes every WORKGROUP_SIZE-th block of a chunk, and walks over it twice: the scales of the new state must be known before it
// can be stored. The second time it finds in its caches what the first has loaded.

fn update_chunk(c: u32, chunk: vec4u, tensor: vec4u, lane: u32) {
  let opened = open_chunk(chunk, tensor);
  let group = opened.group;
  opening(chunk, lane);
  var sums = sums_begin(group);
  let end = chunk_end(chunk);

  for (var first = chunk.y + lane * BLOCK_LANES; first < end; first += WORKGROUP_SIZE * BLOCK_LANES) {
    let last = min(first + BLOCK_LANES, end);
    block_begin();
    for (var at = first; at < last; at++) {
      let g = clipped_gradient(load_grad(at), at, opened.factor, group.clip_value);
      let looked_at = decayed_update(at, load_param(at), g * group.grad_scale, group, opened.step_row);
    }
    block_turn();
    for (var at = first; at < last; at++) {
      let theta = load_param(at);
      let raw = load_grad(at);
      let g = clipped_gradient(raw, at, opened.factor, group.clip_value);
      let delta = decayed_update(at, theta, g * group.grad_scale, group, opened.step_row);
      let updated = averaged(at, theta - delta, group);
      store_param(at, updated);
      sums_add(&sums, raw, g, updated, delta);
    }
    block_end(first / BLOCK_LANES);
  }

  sums_store(sums, c, chunk, lane);
}
