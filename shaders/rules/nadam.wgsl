// NAdam, Adam with Nesterov momentum and a schedule of it, as torch.optim.NAdam since PyTorch 2.0:
//   mu_t = beta1 (1 - 0.96^(t psi) / 2),  pi_t = mu_1 mu_2 ... mu_t
//   m <- beta1 m + (1 - beta1) g          v <- beta2 v + (1 - beta2) g^2
//   u = lr ((1 - mu_t) / (1 - pi_t) g + mu_{t+1} / (1 - pi_t mu_{t+1}) m) / (sqrt(v) / sqrt(1 - beta2^t) + eps)
// Source: Dozat (2016), https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ.

struct Hyper {
  beta1: f32,
  one_minus_beta1: f32,
  beta2: f32,
  one_minus_beta2: f32,
  eps: f32,
}

// By the tensor's own step count t.
struct StepRow {
  g_factor: f32,        // (1 - mu_t) / (1 - pi_t)
  m_factor: f32,        // mu_{t+1} / (1 - pi_{t+1})
  v_correction: f32,    // 1 / sqrt(1 - beta2^t)
}

const EXP_AVG = 0u;
const EXP_AVG_SQ = 1u;

fn update_rule(at: u32, theta: Lane, g: Lane, lr: f32, h: Hyper, t: StepRow) -> Lane {
  let m = h.beta1 * load_state(EXP_AVG, at) + h.one_minus_beta1 * g;
  let v = h.beta2 * load_state(EXP_AVG_SQ, at) + h.one_minus_beta2 * (g * g);
  store_state(EXP_AVG, at, m);
  store_state(EXP_AVG_SQ, at, v);
  return lr * (t.g_factor * g + t.m_factor * m) / (sqrt(v) * t.v_correction + h.eps);
}
