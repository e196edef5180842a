// Four float32 elements at a time: every segment of the arena, and attached tensors whose size is a multiple of 4.
alias Lane = vec4f;
alias LaneMask = vec4<bool>;
const LANES = 4u;
alias LaneBits = vec4u;

fn lane_bits(x: Lane) -> LaneBits { return bitcast<vec4u>(x); }
fn lane_from_bits(x: LaneBits) -> Lane { return bitcast<vec4f>(x); }
fn lane_sum(x: Lane) -> f32 { return (x.x + x.y) + (x.z + x.w); }
fn lane_max(x: Lane) -> f32 { return max(max(x.x, x.y), max(x.z, x.w)); }
fn lane_count(mask: LaneMask) -> u32 { return dot(select(vec4u(0u), vec4u(1u), mask), vec4u(1u)); }
fn lane_ids(first: u32) -> LaneBits { return vec4u(first) + vec4u(0u, 1u, 2u, 3u); }
fn lane_get(x: Lane, i: u32) -> f32 { return x[i]; }
fn lane_set(x: Lane, i: u32, value: f32) -> Lane { var y = x; y[i] = value; return y; }
fn lane_top(x: LaneBits) -> u32 { return max(max(x.x, x.y), max(x.z, x.w)); }
