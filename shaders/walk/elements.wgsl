// An invocation takes every WORKGROUP_SIZE-th lane of a chunk.

fn update_chunk(c: u32, chunk: vec4u, tensor: vec4u, lane: u32) {
  let opened = open_chunk(chunk, tensor);
  let group = opened.group;
  opening(chunk, lane);
  var sums = sums_begin(group);
  let end = chunk_end(chunk);

  for (var at = chunk.y + lane; at < end; at += WORKGROUP_SIZE) {
    let theta = load_param(at);
    let raw = load_grad(at);
    let g = clipped_gradient(raw, at, opened.factor, group.clip_value);
    let delta = decayed_update(at, theta, g * group.grad_scale, group, opened.step_row);
    finished(at, theta - delta);
    let updated = averaged(at, theta - delta, group);
    store_param(at, updated);
    sums_add(&sums, raw, g, updated, delta);
  }

  sums_store(sums, c, chunk, lane);
}
