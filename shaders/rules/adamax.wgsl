// Adamax, Adam with the infinity norm, as torch.optim.Adamax:
//   m <- beta1 m + (1 - beta1) g          w <- max(beta2 w, |g| + eps)          (the paper's u)
//   u = lr / (1 - beta1^t) * m / w
// eps stands inside the maximum. So w becomes eps in the padding of a segment: harmless, m is 0 there.
// Source: Kingma & Ba (2015), arXiv:1412.6980, section 7.1.

struct Hyper {
  beta1: f32,
  one_minus_beta1: f32,
  beta2: f32,
  eps: f32,
  smallest: f32,        // least divisor, far below any eps: 0 / 0 is 0
}

// By the tensor's own step count t.
struct StepRow {
  m_correction: f32,    // 1 / (1 - beta1^t)
}

const EXP_AVG = 0u;
const EXP_INF = 1u;

fn update_rule(at: u32, theta: Lane, g: Lane, lr: f32, h: Hyper, t: StepRow) -> Lane {
  let m = h.beta1 * load_state(EXP_AVG, at) + h.one_minus_beta1 * g;
  let w = max(h.beta2 * load_state(EXP_INF, at), abs(g) + h.eps);
  store_state(EXP_AVG, at, m);
  store_state(EXP_INF, at, w);
  return (lr * t.m_correction) * m / max(w, Lane(h.smallest));
}
