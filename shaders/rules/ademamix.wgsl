// AdEMAMix, Adam with a fast and a slow mean of the gradients, as the authors' ademamix.py:
//   m1 <- beta1 m1 + (1 - beta1) g        m2 <- beta3 m2 + (1 - beta3) g        v <- beta2 v + (1 - beta2) g^2
//   u = lr (m1 / (1 - beta1^t) + alpha m2) / (sqrt(v) / sqrt(1 - beta2^t) + eps)
// The slow mean has no bias correction. alpha and beta3 may be warmed up: they come by the step count.
// Source: Pagliardini, Ablin & Grangier (2024), arXiv:2409.03137; https://github.com/apple/ml-ademamix.

struct Hyper {
  beta1: f32,
  one_minus_beta1: f32,
  beta2: f32,
  one_minus_beta2: f32,
  eps: f32,
}

// By the tensor's own step count t.
struct StepRow {
  m_correction: f32,    // 1 / (1 - beta1^t)
  v_correction: f32,    // 1 / sqrt(1 - beta2^t)
  alpha: f32,
  beta3: f32,
  one_minus_beta3: f32,
}

const EXP_AVG_FAST = 0u;
const EXP_AVG_SLOW = 1u;
const EXP_AVG_SQ = 2u;

fn update_rule(at: u32, theta: Lane, g: Lane, lr: f32, h: Hyper, t: StepRow) -> Lane {
  let fast = h.beta1 * load_state(EXP_AVG_FAST, at) + h.one_minus_beta1 * g;
  let slow = t.beta3 * load_state(EXP_AVG_SLOW, at) + t.one_minus_beta3 * g;
  let v = h.beta2 * load_state(EXP_AVG_SQ, at) + h.one_minus_beta2 * (g * g);
  store_state(EXP_AVG_FAST, at, fast);
  store_state(EXP_AVG_SLOW, at, slow);
  store_state(EXP_AVG_SQ, at, v);
  return lr * (t.m_correction * fast + t.alpha * slow) / (sqrt(v) * t.v_correction + h.eps);
}
