// Reading what the invocations of `measure` and `update` have stored. Each invocation of a workgroup stores one partial per
// chunk and region: no barrier in the hot loop, and the order of every sum is fixed, so equal bits on every run.
// Depends on the declarations `partials: array<vec4u>` (bits: sum, exponent, max, count) and `WORKGROUP_SIZE`.

struct Partial {
  norm: Norm,
  max: f32,
  count: u32,           // number of non-finite values; bit 31: a NaN is among them
}

const PARTIAL_ZERO = Partial(NORM_ZERO, 0.0, 0u);

fn partial_unpack(bits: vec4u) -> Partial {
  return Partial(Norm(bitcast<f32>(bits.x), bitcast<i32>(bits.y)), bitcast<f32>(bits.z), bits.w);
}

fn partial_pack(p: Partial) -> vec4u {
  return vec4u(bitcast<u32>(p.norm.sum), bitcast<u32>(p.norm.exponent), bitcast<u32>(p.max), p.count);
}

fn count_join(a: u32, b: u32) -> u32 {
  return min((a & 0x7fffffffu) + (b & 0x7fffffffu), 0x7fffffffu) | ((a | b) & 0x80000000u);
}

fn partial_join(a: Partial, b: Partial, p: f32) -> Partial {
  return Partial(norm_join(a.norm, b.norm, p), max(a.max, b.max), count_join(a.count, b.count));
}

// Joins `count` partials that lie `stride` apart. In blocks of 32, so that the rounding of a long sum stays small.
fn partial_sum(first: u32, count: u32, stride: u32, p: f32) -> Partial {
  var outer = PARTIAL_ZERO;
  for (var begin = 0u; begin < count; begin += 32u) {
    var inner = PARTIAL_ZERO;
    for (var i = begin; i < min(begin + 32u, count); i++) {
      inner = partial_join(inner, partial_unpack(partials[first + i * stride]), p);
    }
    outer = partial_join(outer, inner, p);
  }
  return outer;
}
