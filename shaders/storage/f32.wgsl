// One float32 element at a time: attached tensors whose size is not a multiple of 4, where a vec4 would reach past the end.
alias Lane = f32;
alias LaneMask = bool;
const LANES = 1u;
alias LaneBits = u32;

fn lane_bits(x: Lane) -> LaneBits { return bitcast<u32>(x); }
fn lane_from_bits(x: LaneBits) -> Lane { return bitcast<f32>(x); }
fn lane_sum(x: Lane) -> f32 { return x; }
fn lane_max(x: Lane) -> f32 { return x; }
fn lane_count(mask: LaneMask) -> u32 { return select(0u, 1u, mask); }
fn lane_ids(first: u32) -> LaneBits { return first; }
fn lane_get(x: Lane, i: u32) -> f32 { return x; }
fn lane_set(x: Lane, i: u32, value: f32) -> Lane { return value; }
fn lane_top(x: LaneBits) -> u32 { return x; }
