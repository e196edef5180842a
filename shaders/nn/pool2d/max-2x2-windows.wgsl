// Four neighbouring windows of 2 x 2, which do not overlap. Depends on `input` as pairs, and on the sizes of max-2x2-*.wgsl.

// Where the windows are: pairs of the upper line, the first value of the result, and which of the four there are.
struct Place {
  row: u32,
  upper: vec4u,
  out: u32,
  count: u32,
}

// Values of the windows in the order in which they are searched.
struct Windows {
  a: vec4f,
  b: vec4f,
  c: vec4f,
  d: vec4f,
}

fn place_of(index: u32) -> Place {
  var rest = index;
  let u = 4u * (rest % TILES_X);
  rest /= TILES_X;
  let v = rest % OUT_HEIGHT;
  rest /= OUT_HEIGHT;
  let channel = rest % CHANNELS;
  let row = rest / CHANNELS;
  let line = (row * IN_STRIDE + (channel * IN_HEIGHT + 2u * v) * IN_WIDTH) / 2u;
  let columns = min(vec4u(u) + vec4u(0u, 1u, 2u, 3u), vec4u(OUT_WIDTH - 1u));
  let out = row * OUT_STRIDE + (channel * OUT_HEIGHT + v) * OUT_WIDTH + u;
  return Place(row, vec4u(line) + columns, out, min(4u, OUT_WIDTH - u));
}

fn windows_at(upper: vec4u) -> Windows {
  let lower = upper + vec4u(IN_WIDTH / 2u);
  let p0 = input[upper.x]; let p1 = input[upper.y]; let p2 = input[upper.z]; let p3 = input[upper.w];
  let q0 = input[lower.x]; let q1 = input[lower.y]; let q2 = input[lower.z]; let q3 = input[lower.w];
  return Windows(
    vec4f(p0.x, p1.x, p2.x, p3.x), vec4f(p0.y, p1.y, p2.y, p3.y),
    vec4f(q0.x, q1.x, q2.x, q3.x), vec4f(q0.y, q1.y, q2.y, q3.y));
}

// Whether `value` takes the place of `largest`: the first of equal ones stays, a NaN is the largest (as PyTorch).
fn takes_over(value: vec4f, largest: vec4f) -> vec4<bool> {
  let is_nan = (bitcast<vec4u>(value) & vec4u(0x7fffffffu)) > vec4u(0x7f800000u);
  return (value > largest) | is_nan;
}
