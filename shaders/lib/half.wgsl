// Numbers of 16 bits, four in two words, the first in the lowest bits: bfloat16, the upper half of a float32, or IEEE binary16. By
// integers, so no device feature is needed and every device gives the same bits; NaN stays NaN and infinities stay what they are.

fn widen(words: vec2u, binary16: bool) -> vec4f {
  let h = (vec4u(words.xx, words.yy) >> vec4u(0u, 16u, 0u, 16u)) & vec4u(0xffffu);
  if (!binary16) { return bitcast<vec4f>(h << vec4u(16u)); }
  let a = h & vec4u(0x7fffu);
  // The exponent is biased by 15, in float32 by 127; with that of Inf and NaN as large as can be in both.
  let top = (a << vec4u(13u)) + select(vec4u(112u << 23u), vec4u(224u << 23u), a >= vec4u(0x7c00u));
  let subnormal = bitcast<vec4u>(vec4f(a) * 0x1p-24);
  return bitcast<vec4f>(((h & vec4u(0x8000u)) << vec4u(16u)) | select(top, subnormal, a < vec4u(0x400u)));
}

// To the nearest, of two equally near to the even one.
fn narrow(x: vec4f, binary16: bool) -> vec2u { return narrowed(x, binary16, false, vec4u(0u)); }

// Up or down by chance: noise in [0, 2^16), a uniform one, makes the expected value x.
//   P(up) = (x - below) / (above - below)
fn narrow_by_chance(x: vec4f, binary16: bool, noise: vec4u) -> vec2u { return narrowed(x, binary16, true, noise); }

fn narrowed(x: vec4f, binary16: bool, by_chance: bool, noise: vec4u) -> vec2u {
  let bits = bitcast<vec4u>(x);
  let a = bits & vec4u(0x7fffffffu);
  let sign = (bits >> vec4u(16u)) & vec4u(0x8000u);
  // Adding less than a unit of what stays, and cutting off the rest.
  let dropped = select(16u, 13u, binary16);
  let even = ((a >> vec4u(dropped)) & vec4u(1u)) + vec4u((1u << (dropped - 1u)) - 1u);
  let rounded = a + select(even, (noise >> vec4u(16u - dropped)), by_chance);
  var h = rounded >> vec4u(dropped);
  let nan = select(vec4u(0x7fc0u), vec4u(0x7e00u), binary16);
  let infinity = select(vec4u(0x7f80u), vec4u(0x7c00u), binary16);
  if (binary16) {
    // From 2^16 on, infinity; below 2^-14, multiples of 2^-24.
    h = min(max(h, vec4u(112u << 10u)) - vec4u(112u << 10u), infinity);
    let units = min(abs(x), vec4f(0x1p-14)) * 0x1p+24;
    let below = floor(units);
    let up = vec4f(noise) < (units - below) * 65536.0;
    let subnormal = vec4u(select(round(units), below + select(vec4f(0.0), vec4f(1.0), up), by_chance));
    h = select(h, subnormal, a < vec4u(0x38800000u));
  }
  h = select(h, infinity, a == vec4u(0x7f800000u));
  h = sign | select(h, nan, a > vec4u(0x7f800000u));
  return h.xz | (h.yw << vec2u(16u));
}
