// Sums over lanes. Depends on lib/norm, lib/reduce and a storage format.

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

// x^p in every lane, for x >= 0; as `power`.
fn lane_power(x: Lane, p: f32) -> Lane {
  if (p != floor(p)) { return select(exp2(p * log2(max(x, Lane(1.1754944e-38)))), Lane(0.0), x == Lane(0.0)); }
  var y = x;
  for (var i = 1.0; i < p; i += 1.0) { y *= x; }
  return y;
}

// Looking at gradients costs little where they are ordinary: a loop sums their squares, and keeps the largest bits of |g|, which
// order as |g| does and show whether a value is not finite. Only where these say that a square may have overflowed or vanished,
// or that a value is not finite, are the elements looked at again, one careful step at a time (`partial_add`).

// 2^-40 <= max |g| < 2^48: no sum of a chunk overflows, and what vanishes is below 2^-46 of it.
fn glance_suffices(top: u32) -> bool {
  return top == 0u || (top >= 0x2b800000u && top < 0x57800000u);
}

fn glance_partial(squares: Lane, top: u32) -> Partial {
  // Nothing but zeros has no exponent: one of 0 would make small norms vanish that it is joined to.
  if (top == 0u) { return PARTIAL_ZERO; }
  return Partial(Norm(lane_sum(squares), 0), bitcast<f32>(top), 0u);
}

// Adds the finite lanes of a gradient to a careful partial; p = 0 is the infinity norm.
fn partial_add(seen: Partial, bits: LaneBits, p: f32) -> Partial {
  let magnitude = lane_from_bits(select(bits & LaneBits(0x7fffffffu), LaneBits(0u), lane_non_finite(bits)));
  let largest = lane_max(magnitude);
  var norm = seen.norm;
  if (p > 0.0) {
    let exponent = exponent_of(largest);
    if (exponent > norm.exponent + HEADROOM || (norm.sum == 0.0 && exponent > norm.exponent)) { norm = norm_raise(norm, exponent, p); }
    norm.sum += lane_sum(lane_power(magnitude * pow2(-norm.exponent), p));
  }
  return Partial(norm, max(seen.max, largest), count_join(seen.count, non_finite_count(bits)));
}
