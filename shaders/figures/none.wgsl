// A step without figures: nothing is summed.

struct Sums {
  unused: u32,
}

fn sums_begin(group: GroupRecord) -> Sums { return Sums(0u); }
fn sums_add(sums: ptr<function, Sums>, raw: Lane, clipped: Lane, updated: Lane, delta: Lane) {}
fn sums_store(sums: Sums, c: u32, chunk: vec4u, lane: u32) {}
fn stand_still(c: u32, chunk: vec4u, lane: u32) {}
