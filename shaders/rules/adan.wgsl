// Adan, adaptive Nesterov momentum, as the authors' adan.py; beta as there, which is 1 - beta in the paper:
//   y = g - g_prev, 0 in the first step
//   m <- beta1 m + (1 - beta1) g          d <- beta2 d + (1 - beta2) y          n <- beta3 n + (1 - beta3) (g + beta2 y)^2
//   u = lr (m / (1 - beta1^t) + beta2 d / (1 - beta2^t)) / (sqrt(n) / sqrt(1 - beta3^t) + eps)
// The state keeps -g_prev, as the reference does.
// Source: Xie et al. (2022), arXiv:2208.06677; https://github.com/sail-sg/Adan.

struct Hyper {
  beta1: f32,
  one_minus_beta1: f32,
  beta2: f32,
  one_minus_beta2: f32,
  beta3: f32,
  one_minus_beta3: f32,
  eps: f32,
}

// By the number of updates t: Adan counts per group.
struct StepRow {
  m_correction: f32,    // 1 / (1 - beta1^t)
  d_correction: f32,    // beta2 / (1 - beta2^t)
  n_correction: f32,    // 1 / sqrt(1 - beta3^t)
}

const EXP_AVG = 0u;
const EXP_AVG_SQ = 1u;
const EXP_AVG_DIFF = 2u;
const NEG_PRE_GRAD = 3u;

fn update_rule(at: u32, theta: Lane, g: Lane, lr: f32, h: Hyper, t: StepRow) -> Lane {
  var y = Lane(0.0);
  if (own_count > 1u) { y = g + load_state(NEG_PRE_GRAD, at); }
  let ahead = g + h.beta2 * y;
  let m = h.beta1 * load_state(EXP_AVG, at) + h.one_minus_beta1 * g;
  let d = h.beta2 * load_state(EXP_AVG_DIFF, at) + h.one_minus_beta2 * y;
  let n = h.beta3 * load_state(EXP_AVG_SQ, at) + h.one_minus_beta3 * (ahead * ahead);
  store_state(EXP_AVG, at, m);
  store_state(EXP_AVG_SQ, at, n);
  store_state(EXP_AVG_DIFF, at, d);
  store_state(NEG_PRE_GRAD, at, -g);
  return lr * (t.m_correction * m + t.d_correction * d) / (sqrt(n) * t.n_correction + h.eps);
}
