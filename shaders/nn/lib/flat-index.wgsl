// One number for each invocation of a grid that has more workgroups than a dimension may have: src/nn/kernels/grid.ts.
override WORKGROUP_SIZE: u32 = 64;

fn flat_index(id: vec3u) -> u32 {
  return id.x + id.y * (65535u * WORKGROUP_SIZE);
}
