// The floor of an optimizer's step: its loads and stores, next to no arithmetic.
//
// Each workgroup takes one contiguous range of the vec4s, and walks it with its invocations side by side:
//     p += g      and for every slot s of the state, as the optimizer does:  s += g,  p += s  or  s = g
// so p and g are loaded and p is stored once, and every slot is loaded, stored, or both.

override WORKGROUP_SIZE: u32 = 256;
// What is done with each slot: the bits below.
override SLOT_0: u32 = 0;
override SLOT_1: u32 = 0;
override SLOT_2: u32 = 0;
override SLOT_3: u32 = 0;

const LOADED = 1u;
const STORED = 2u;

@group(0) @binding(0) var<storage, read_write> param: array<vec4f>; // [n / 4]
@group(0) @binding(1) var<storage, read> grad: array<vec4f>;        // [n / 4]
@group(0) @binding(2) var<storage, read_write> state: array<vec4f>; // [slot][n / 4]

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(local_invocation_index) lane: u32,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let size = arrayLength(&param);
  let lanes = workgroups.x * WORKGROUP_SIZE;
  let range = (size + lanes - 1) / lanes * WORKGROUP_SIZE;
  let begin = workgroup.x * range;
  let end = min(size, begin + range);
  for (var i = begin + lane; i < end; i += WORKGROUP_SIZE) {
    let g = grad[i];
    var p = param[i] + g;
    if (SLOT_0 != 0u) { p += visit(SLOT_0, i, g); }
    if (SLOT_1 != 0u) { p += visit(SLOT_1, size + i, g); }
    if (SLOT_2 != 0u) { p += visit(SLOT_2, 2u * size + i, g); }
    if (SLOT_3 != 0u) { p += visit(SLOT_3, 3u * size + i, g); }
    param[i] = p;
  }
}

// What an element of state adds to p: nothing where it is stored.
fn visit(does: u32, at: u32, g: vec4f) -> vec4f {
  if (does == LOADED) { return state[at]; }
  if (does == STORED) { state[at] = g; } else { state[at] += g; }
  return vec4f(0.0);
}
