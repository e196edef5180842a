// Prodigy, as prodigyopt: Adam that finds its own step size d, one number for all tensors.
//   delta = d lr b                    b = sqrt(1 - beta2^t) / (1 - beta1^t) with bias correction, else 1
//   r <- beta3 r + sum (d / d0) delta <g, theta_0 - theta>             over all tensors
//   m <- beta1 m + d (1 - beta1) g    v <- beta2 v + d^2 (1 - beta2) g^2
//   s <- beta3 s + (d / d0) delta g   (with safeguarded warm-up d in the place of delta)
//   d^ = c r / sum |s|                d_max <- max(d_max, d^)          d' = min(d_max, growth d), after max(d, d^) while d = d0
//   u = delta (m / (sqrt(v) + d' eps) + lambda theta)
// Where no s is other than 0 there is no update. Groups with lr = 0 take no part.
// Source: Mishchenko & Defazio (2024), arXiv:2306.06101.

struct Hyper {
  beta1: f32,
  one_minus_beta1: f32,
  beta2: f32,
  one_minus_beta2: f32,
  beta3: f32,
  eps: f32,
  d0: f32,
  d_coef: f32,          // c
  growth_rate: f32,     // 0: d may grow as it will
  safeguard_warmup: f32,
  slice_p: f32,         // only every slice_p-th element enters r and s
}

// By the number of updates t: Prodigy counts them for all tensors together.
struct StepRow {
  bias_correction: f32, // b
}

const S = 0u;
const P0 = 1u;
const EXP_AVG = 2u;
const EXP_AVG_SQ = 3u;

// d before this step: `before` is d as `settle_all` has left it.
fn d_of(before: f32, h: Hyper) -> f32 { return select(before, h.d0, before == 0.0); }

fn sliced(at: u32, h: Hyper) -> LaneMask {
  return (element_ids(at) % LaneBits(u32(h.slice_p))) == LaneBits(0u);
}

fn next_s(at: u32, g: Lane, d: f32, lr: f32, h: Hyper, t: StepRow) -> Lane {
  let rate = select(d * lr * t.bias_correction, d, h.safeguard_warmup > 0.0);
  let s = h.beta3 * load_state(S, at) + ((d / h.d0) * rate) * g;
  return select(Lane(0.0), s, sliced(at, h));
}

fn prepare_rule(at: u32, theta: Lane, g: Lane, lr: f32, h: Hyper, t: StepRow) -> Prepared {
  if (lr == 0.0) { return Prepared(Lane(0.0), Lane(0.0)); }
  let d = d_of(shared_numbers.x, h);
  var away = Lane(0.0);
  if (own_count > 1u) { away = load_state(P0, at) - theta; }
  let product = ((d / h.d0) * (d * lr * t.bias_correction)) * (g * away);
  return Prepared(select(Lane(0.0), product, sliced(at, h)), abs(next_s(at, g, d, lr, h, t)));
}

// x: d, y: d_max, z: r, w: the d of before, or 0 where there is no update.
fn settle_all(s: Settling, lr: f32, h: Hyper, t: StepRow) -> vec4f {
  var d = d_of(s.numbers.x, h);
  let before = d;
  var d_max = d_of(s.numbers.y, h);
  let r = h.beta3 * s.numbers.z + s.sums.x;
  if (s.sums.y == 0.0) { return vec4f(d, d_max, s.numbers.z, 0.0); }
  let d_hat = h.d_coef * r / s.sums.y;
  if (d == h.d0) { d = max(d, d_hat); }
  d_max = max(d_max, d_hat);
  if (h.growth_rate > 0.0) { d = min(d_max, d * h.growth_rate); } else { d = d_max; }
  return vec4f(d, d_max, r, before);
}

fn update_rule(at: u32, theta: Lane, g: Lane, lr: f32, h: Hyper, t: StepRow) -> Lane {
  if (own_count == 1u) { store_state(P0, at, select(Lane(0.0), theta, sliced(at, h))); }
  if (lr == 0.0) { return Lane(0.0); }
  let updates = shared_numbers.w != 0.0;
  let d = d_of(select(shared_numbers.x, shared_numbers.w, updates), h);
  let delta = d * lr * t.bias_correction;
  let m = h.beta1 * load_state(EXP_AVG, at) + (d * h.one_minus_beta1) * g;
  let v = h.beta2 * load_state(EXP_AVG_SQ, at) + (d * d * h.one_minus_beta2) * (g * g);
  store_state(S, at, next_s(at, g, d, lr, h, t));
  store_state(EXP_AVG, at, m);
  store_state(EXP_AVG_SQ, at, v);
  if (!updates) { return Lane(0.0); }
  return delta * (m / (sqrt(v) + max(shared_numbers.x * h.eps, 1.1754944e-38)) + rule_decay * theta);
}
