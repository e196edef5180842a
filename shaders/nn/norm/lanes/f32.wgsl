// One element at a time: planes that are no whole number of quads.
alias Lane = f32;
alias LaneMask = bool;
const WIDTH = 1u;

fn lane_sum(x: Lane) -> f32 {
  return x;
}
