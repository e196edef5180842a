// State in 8 bits: blocks of 256 elements, each with a scale s in float32 and a code per element.
//   s = the value of largest magnitude in the block, with its sign             x ~ s q(code)
// so that this value, whose code stands for 1, is kept exactly. q is the dynamic map of bitsandbytes: level i = 0..6 has n = 2^i
// (of either sign) or 2^(i+1) (of one sign) values 10^(i-6) (0.1 + 0.9 (j + 0.5) / n); and 0 and 1 have codes of their own.
//   either sign    0: 0,  1 to 127: the levels one after the other,  128: 1,  129 to 255: -q(code - 128)
//   one sign       0: 0,  1 to 254: the levels one after the other,  255: 1
// Codes are the nearest ones, but nothing positive becomes 0 where there is one sign: it may stand in a denominator. A block below 2^-104 is
// 0, so that no product s q is subnormal; one with a value that is not finite is NaN.
// In a window: of a quantized slot the codes, four in a word, and then the scales; of another float32. Slots in their order.
//
// One invocation walks twice over a block (walk/blocks.wgsl): first `store_state` only looks for s, then it stores.
// Source: Dettmers et al. (2022), arXiv:2110.02861.

alias StateWord = u32;

override STORES: bool = true;      // false: the state is only looked at
override QUANTIZED: u32 = 0;       // bit by slot: it is kept in 8 bits
override SIGNED: u32 = 0;          // of these: its values have either sign

const BLOCK_LANES = 64u;
const MOST_QUANTIZED = 4u;

var<private> block_looks: bool;                                // the first walk
var<private> block_stored: u32;                                // bit by slot: something was stored
var<private> block_tops: array<vec4u, MOST_QUANTIZED>;         // bits of the values of largest magnitude
var<private> block_scales: array<f32, MOST_QUANTIZED>;

fn is_quantized(slot: u32) -> bool { return ((QUANTIZED >> slot) & 1u) != 0u; }
fn is_signed(slot: u32) -> bool { return ((SIGNED >> slot) & 1u) != 0u; }

// The word where a slot begins.
fn slot_begin(slot: u32) -> u32 {
  let before = countOneBits(QUANTIZED & ((1u << slot) - 1u));
  let stride = window.state_stride;
  return before * (stride + stride / BLOCK_LANES) + (slot - before) * LANES * stride;
}

fn load_state(slot: u32, at: u32) -> Lane {
  let begin = slot_begin(slot);
  if (!is_quantized(slot)) { return load_numbers(begin + at * LANES); }
  let scale = bitcast<f32>(state[begin + window.state_stride + at / BLOCK_LANES]);
  return scale * decode(state[begin + at], is_signed(slot));
}

fn store_state(slot: u32, at: u32, value: Lane) {
  if (!STORES) { return; }
  if (!is_quantized(slot)) {
    if (!block_looks) { store_numbers(slot_begin(slot) + at * LANES, value); }
  } else if (block_looks) {
    let bits = bitcast<vec4u>(value);
    let top = block_tops[slot];
    block_tops[slot] = select(top, bits, magnitude(bits) > magnitude(top));
    block_stored |= 1u << slot;
  } else {
    state[slot_begin(slot) + at] = encode(value, block_scales[slot], is_signed(slot));
  }
}

// Numbers behind the slots: one, and a lane that begins with number `i` of the window's state.
fn load_number(i: u32) -> f32 { return bitcast<f32>(state[i]); }

fn load_numbers(i: u32) -> Lane {
  return bitcast<vec4f>(vec4u(state[i], state[i + 1u], state[i + 2u], state[i + 3u]));
}

fn store_numbers(i: u32, value: Lane) {
  if (!STORES) { return; }
  let bits = bitcast<vec4u>(value);
  state[i] = bits.x;
  state[i + 1u] = bits.y;
  state[i + 2u] = bits.z;
  state[i + 3u] = bits.w;
}

fn block_begin() {
  block_looks = true;
  block_stored = 0u;
  for (var slot = 0u; slot < MOST_QUANTIZED; slot++) { block_tops[slot] = vec4u(0u); }
}

// Between the two walks.
fn block_turn() {
  block_looks = false;
  for (var slot = 0u; slot < MOST_QUANTIZED; slot++) {
    let tops = block_tops[slot];
    var top = tops.x;
    for (var i = 1u; i < 4u; i++) { if ((tops[i] & 0x7fffffffu) > (top & 0x7fffffffu)) { top = tops[i]; } }
    let size = top & 0x7fffffffu;
    if (size < 0x0b800000u) { top = 0u; }
    if (size >= 0x7f800000u) { top = 0x7fc00000u; }
    if (!is_signed(slot)) { top &= 0x7fffffffu; }
    block_scales[slot] = bitcast<f32>(top);
  }
}

// A slot that was not stored to keeps its scale too.
fn block_end(block: u32) {
  for (var slot = 0u; slot < MOST_QUANTIZED; slot++) {
    if (is_quantized(slot) && ((block_stored >> slot) & 1u) != 0u) {
      state[slot_begin(slot) + window.state_stride + block] = bitcast<u32>(block_scales[slot]);
    }
  }
}

fn magnitude(bits: vec4u) -> vec4u { return bits & vec4u(0x7fffffffu); }

// q of four codes. With n, the number of a value counted from where the first level would begin, n + 0.5 is 2^i (1 + (j + 0.5) / 2^i): the
// fraction and the level stand in its bits.
fn decode(word: u32, either_sign: bool) -> vec4f {
  let code = (vec4u(word) >> vec4u(0u, 8u, 16u, 24u)) & vec4u(255u);
  let n = select(code + 1u, code & vec4u(127u), either_sign);
  let first = select(1u, 0u, either_sign);                     // exponent of level 0
  let one = select(255u, 128u, either_sign);
  let bits = bitcast<vec4u>(vec4f(n) + 0.5);
  let level = (bits >> vec4u(23u)) - vec4u(127u + first);
  let fraction = bitcast<vec4f>((bits & vec4u(0x7fffffu)) | vec4u(0x3f800000u));
  var power = select(vec4f(1e-6), vec4f(1e-5), (level & vec4u(1u)) != vec4u(0u));
  power *= select(vec4f(1.0), vec4f(1e2), (level & vec4u(2u)) != vec4u(0u));
  power *= select(vec4f(1.0), vec4f(1e4), (level & vec4u(4u)) != vec4u(0u));
  var q = power * (0.9 * fraction - 0.8);
  if (either_sign) { q = select(q, -q, code > vec4u(128u)); }
  return select(select(q, vec4f(1.0), code == vec4u(one)), vec4f(0.0), code == vec4u(0u));
}

fn encode(value: vec4f, scale: f32, either_sign: bool) -> u32 {
  let scale_bits = bitcast<u32>(scale) & 0x7fffffffu;
  if (scale_bits == 0u || scale_bits >= 0x7f800000u) { return 0u; }
  let y = value / scale;
  let a = select(max(y, vec4f(0.0)), abs(y), either_sign);
  // Number of values of the level, and the power of ten that brings it to [0.1, 1). Levels part in the middle of their nearest values.
  let per = select(2.0, 1.0, either_sign);
  var count = vec4f(per);
  var power = vec4f(1e6);
  from_level(a, 1e-6, 1e5, per, &count, &power);
  from_level(a, 1e-5, 1e4, 2.0 * per, &count, &power);
  from_level(a, 1e-4, 1e3, 4.0 * per, &count, &power);
  from_level(a, 1e-3, 1e2, 8.0 * per, &count, &power);
  from_level(a, 1e-2, 1e1, 16.0 * per, &count, &power);
  from_level(a, 1e-1, 1e0, 32.0 * per, &count, &power);
  let n = vec4u(clamp((a * power + 0.8) * (count / 0.9), count, 2.0 * count - 1.0));
  let one = a > vec4f(1.0 - 0.225 / (64.0 * per));
  var code: vec4u;
  if (either_sign) {
    let negative = y < vec4f(0.0);
    code = select(n, n | vec4u(128u), negative);
    code = select(code, vec4u(128u), one & !negative);
    code = select(code, vec4u(0u), a < vec4f(0.275e-6));
  } else {
    code = select(n - vec4u(1u), vec4u(255u), one);
    code = select(code, vec4u(0u), (a == vec4f(0.0)) & (value <= vec4f(0.0)));
  }
  return code.x | (code.y << 8u) | (code.z << 16u) | (code.w << 24u);
}

// Where a lies above 10^(i-6), at the end of level i with `per` values, it belongs to the next level at least.
fn from_level(a: vec4f, end: f32, power: f32, per: f32, count: ptr<function, vec4f>, powers: ptr<function, vec4f>) {
  let above = a > vec4f(end * (1.0 + 0.9 / per));
  *count = select(*count, vec4f(2.0 * per), above);
  *powers = select(*powers, vec4f(power), above);
}
