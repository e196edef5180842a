// Adding lanes to a Norm. Depends on lib/norm and on a storage format.

// Raises the exponent of `n` where `largest` (of the values to come) needs it. Seldom true: the branch costs next to nothing.
fn norm_make_room(n: Norm, largest: f32, p: f32) -> Norm {
  let exponent = exponent_of(largest);
  if (exponent > n.exponent + HEADROOM || (n.sum == 0.0 && exponent > n.exponent)) {
    return norm_raise(n, exponent, p);
  }
  return n;
}

// Adds |x|^2 of every lane of `x`, which must be finite.
fn norm_add_squares(n: Norm, x: Lane) -> Norm {
  let room = norm_make_room(n, lane_max(abs(x)), 2.0);
  let h = x * pow2(-room.exponent);
  return Norm(room.sum + lane_sum(h * h), room.exponent);
}

fn lane_non_finite(bits: LaneBits) -> LaneMask {
  return (bits & LaneBits(0x7f800000u)) == LaneBits(0x7f800000u);
}

fn lane_nan(bits: LaneBits) -> LaneMask {
  return (bits & LaneBits(0x7fffffffu)) > LaneBits(0x7f800000u);
}

// Number of non-finite lanes, with bit 31 where a NaN is among them.
fn non_finite_count(bits: LaneBits) -> u32 {
  let bad = lane_non_finite(bits);
  return select(0u, lane_count(bad) | select(0u, 0x80000000u, any(lane_nan(bits))), any(bad));
}
