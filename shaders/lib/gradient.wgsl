// From a raw gradient to the one that decay and rule see: unscaled and clipped.
//   g <- grad * factor,  times the factor of its unit,  clamped to +- clip_value
// The factor comes from `control`, that of the unit, with adaptive clipping, from `clip-units`.

override CLIP_VALUE: bool = false;      // some group clips by value
override KEEP_NON_FINITE: bool = false; // non-finite gradients are not skipped: they must survive clipping

override CLIP_UNITS: bool = false;      // adaptive clipping

fn clipped_gradient(raw: Lane, at: u32, factor: f32, clip_value: f32) -> Lane {
  var g = raw * factor;
  if (CLIP_UNITS) { g *= unit_factors(at); }
  if (KEEP_NON_FINITE) { g = keep_non_finite(g, lane_bits(raw), factor); }
  if (CLIP_VALUE) {
    let nan = is_nan(select(lane_bits(raw), lane_bits(g), KEEP_NON_FINITE));
    g = select(clamp(g, Lane(-clip_value), Lane(clip_value)), g, nan);
  }
  return g;
}

fn unit_factors(at: u32) -> Lane {
  var factors = Lane(1.0);
  let first = chunk_element + (at - chunk_begin) * LANES;
  for (var i = 0u; i < LANES; i++) {
    let unit = units.x + (first + i) / units.y;
    factors = lane_set(factors, i, load_number(unit));
  }
  return factors;
}

fn is_nan(bits: LaneBits) -> LaneMask {
  return (bits & LaneBits(0x7fffffffu)) > LaneBits(0x7f800000u);
}

// What IEEE arithmetic gives for raw * factor, by bits: NaN where either is NaN or an infinity meets factor 0.
fn keep_non_finite(g: Lane, raw: LaneBits, factor: f32) -> Lane {
  let factor_bits = bitcast<u32>(factor);
  let lost = (factor_bits & 0x7fffffffu) > 0x7f800000u || factor == 0.0;
  let bad = (raw & LaneBits(0x7f800000u)) == LaneBits(0x7f800000u);
  var bits = select(lane_bits(g), raw, bad);
  if (lost) { bits = select(bits, LaneBits(0x7fc00000u), bad); }
  if (lost && factor != 0.0) { bits = LaneBits(0x7fc00000u); }
  return lane_from_bits(bits);
}
