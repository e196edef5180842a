// Adam, and with decoupled decay AdamW, as torch.optim.Adam and torch.optim.AdamW:
//   m <- beta1 m + (1 - beta1) g          v <- beta2 v + (1 - beta2) g^2          AMSGrad: v^ <- max(v^, v), used in place of v
//   u = lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + eps)
// eps stands outside the root and after the bias correction. AMSGrad's maximum is taken before the bias correction.
// Source: Kingma & Ba (2015), arXiv:1412.6980; Loshchilov & Hutter (2019), arXiv:1711.05101; Reddi et al. (2018).

override AMSGRAD: bool = false;   // some group uses AMSGrad

struct Hyper {
  beta1: f32,
  one_minus_beta1: f32,
  beta2: f32,
  one_minus_beta2: f32,
  eps: f32,
  amsgrad: f32,         // 1: this group uses AMSGrad
}

// By the tensor's own step count t.
struct StepRow {
  m_correction: f32,    // 1 / (1 - beta1^t)
  v_correction: f32,    // 1 / sqrt(1 - beta2^t)
}

const EXP_AVG = 0u;
const EXP_AVG_SQ = 1u;
const MAX_EXP_AVG_SQ = 2u;

fn update_rule(at: u32, theta: Lane, g: Lane, lr: f32, h: Hyper, t: StepRow) -> Lane {
  let m = h.beta1 * load_state(EXP_AVG, at) + h.one_minus_beta1 * g;
  var v = h.beta2 * load_state(EXP_AVG_SQ, at) + h.one_minus_beta2 * (g * g);
  store_state(EXP_AVG, at, m);
  store_state(EXP_AVG_SQ, at, v);
  if (AMSGRAD) {
    if (h.amsgrad > 0.0) {
      v = max(load_state(MAX_EXP_AVG_SQ, at), v);
      store_state(MAX_EXP_AVG_SQ, at, v);
    }
  }
  return (lr * t.m_correction) * m / (sqrt(v) * t.v_correction + h.eps);
}
