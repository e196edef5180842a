// NAdamW, Adam that looks one step of momentum ahead, as timm's NAdamW:
//   m <- beta1 m + (1 - beta1) g          v <- beta2 v + (1 - beta2) g^2
//   u = lr / (1 - beta1^t) * (beta1 m + (1 - beta1) g) / (sqrt(v) / sqrt(1 - beta2^t) + eps)
// This is not NAdam with decoupled decay: there is no schedule of the momentum.
// Source: Dahl et al. (2023), arXiv:2306.07179, appendix; https://github.com/huggingface/pytorch-image-models.

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
}

const EXP_AVG = 0u;
const EXP_AVG_SQ = 1u;

fn update_rule(at: u32, theta: Lane, g: Lane, lr: f32, h: Hyper, t: StepRow) -> Lane {
  let m = h.beta1 * load_state(EXP_AVG, at) + h.one_minus_beta1 * g;
  let v = h.beta2 * load_state(EXP_AVG_SQ, at) + h.one_minus_beta2 * (g * g);
  store_state(EXP_AVG, at, m);
  store_state(EXP_AVG_SQ, at, v);
  let ahead = h.beta1 * m + h.one_minus_beta1 * g;
  return (lr * t.m_correction) * ahead / (sqrt(v) * t.v_correction + h.eps);
}
