// One number for each invocation of a grid that has more workgroups than a dimension may have: src/nn/kernels/grid.ts.
override WORKGROUP_SIZE: u32 = 64;

fn flat_index(id: vec3u) -> u32 {
  return id.x + id.y * (65535u * WORKGROUP_SIZE);
}

// `count`, whatever `length` is. WGSL holds every index against the length of its buffer, and a software adapter computes that with four
// divisions; lengths that have been asked for before a loop are not computed again in it.
fn bounded_by(count: u32, length: u32) -> u32 {
  return min(count, max(count, length));
}
