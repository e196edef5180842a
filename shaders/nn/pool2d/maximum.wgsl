// The largest value of a window and where it is: the first of equal ones, a NaN before all others (as PyTorch).
// Depends on `input`.
struct Maximum {
  value: f32,
  at: u32,
}

fn maximum_of(plane: u32, w: Window) -> Maximum {
  let first = plane + w.top * IN_WIDTH + w.left;
  var largest = Maximum(input[first], first);
  for (var y = w.top; y < w.bottom; y++) {
    for (var at = plane + y * IN_WIDTH + w.left; at < plane + y * IN_WIDTH + w.right; at++) {
      let value = input[at];
      let is_nan = (bitcast<u32>(value) & 0x7fffffffu) > 0x7f800000u;
      let larger = (value > largest.value) | is_nan;
      largest = Maximum(select(largest.value, value, larger), select(largest.at, at, larger));
    }
  }
  return largest;
}
