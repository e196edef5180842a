// Four neighbouring elements of a plane at a time.
alias Lane = vec4f;
alias LaneMask = vec4<bool>;
const WIDTH = 4u;

fn lane_sum(x: Lane) -> f32 {
  return (x.x + x.y) + (x.z + x.w);
}
