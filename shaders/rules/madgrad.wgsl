// MADGRAD, momentumized adaptive dual averaging, as the authors' and timm's MADGRAD:
//   L = (lr + eps) sqrt(t)                q <- q + L g^2                s <- s + L g
//   z = x_0 - s / (cbrt(q) + eps)         x_0: theta before the first step
//   theta <- mu theta + (1 - mu) z        so u = (1 - mu) (theta - x_0 + s / (cbrt(q) + eps))
// Without momentum x_0 is theta + s / (cbrt(q) + eps) with s and q as they were, and no state: what decay has done stays done. With
// r = cbrt(q) + eps and r' after the step, u = s' / r' - s / r is (L g - (s / r) (r' - r)) / r', which does not cancel.
// Source: Defazio & Jelassi (2021), arXiv:2101.11075; https://github.com/facebookresearch/madgrad.

override MOMENTUM: bool = false;  // some group has momentum
override PLAIN: bool = false;     // some group has none

struct Hyper {
  momentum: f32,            // mu
  one_minus_momentum: f32,
  eps: f32,
}

// By the tensor's own step count t.
struct StepRow {
  root: f32,                // sqrt(t)
}

const GRAD_SUM_SQ = 0u;
const S = 1u;
const X0 = 2u;

// Without `pow`, which goes through log2 and exp2, slow and off by tens of ulp. A third of the bits, taken as an integer, is a third
// of the exponent: it starts 1 / cbrt(x) within 3.5 %; a quadratic in c = x z^3, fitted to c^(-1/3) there, leaves 7e-5; Newton's step
// y + (x - y^3) / (3 y^2), in thirds lest y^3 overflows and with z^2 for 1 / y^2, squares that error away: 1.1 ulp are left.
// Of a sum beyond float32 or none at all the root is finite and positive.
fn cube_root(sum: Lane) -> Lane {
  let x = clamp(sum, Lane(0x1p-124f), Lane(0x1.fffffep+127f));
  let third = (lane_bits(x) >> LaneBits(16u)) * LaneBits(21846u);      // 2^16 / 3
  let start = lane_from_bits(LaneBits(0x54a21d2au) - third);
  let c = x * start * start * start;
  let z = start * (1.556258 + c * (c * 0.221521 - 0.777774));
  let y = x * (z * z);
  return y + (x * (1.0 / 3.0) - y * y * (y * (1.0 / 3.0))) * (z * z);
}

// x_0 is kept without momentum too, beside groups that have it: it may set in later.
fn open_rule(chunk: vec4u, of_tensor: TensorControl, lane: u32) {
  if (!MOMENTUM || own_count != 1u) { return; }
  for (var at = chunk.y + lane; at < chunk.y + chunk.z; at += WORKGROUP_SIZE) { store_state(X0, at, load_param(at)); }
}

fn update_rule(at: u32, theta: Lane, g: Lane, lr: f32, h: Hyper, t: StepRow) -> Lane {
  let weight = (lr + h.eps) * t.root;
  let q_before = load_state(GRAD_SUM_SQ, at);
  let s_before = load_state(S, at);
  let q = q_before + weight * (g * g);
  let s = s_before + weight * g;
  store_state(GRAD_SUM_SQ, at, q);
  store_state(S, at, s);
  let root = cube_root(q);
  if (MOMENTUM) {
    let x_0 = select(load_state(X0, at), theta, own_count == 1u);
    let u = h.one_minus_momentum * ((theta - x_0) + s / (root + h.eps));
    if (!PLAIN) { return u; }
    if (h.momentum > 0.0) { return u; }
  }
  let before = cube_root(q_before);
  let growth = min(weight * (g * g), Lane(0x1.fffffep+127f)) / (root * root + root * before + before * before);
  return (weight * g - s_before / (before + h.eps) * growth) / (root + h.eps);
}
