// LaProp, as timm's: the gradient is divided by its root mean square before it enters the momentum, not after.
//   v <- beta2 v + (1 - beta2) g^2              a_2 = 1 - beta2^t
//   a_1 <- beta1 a_1 + (1 - beta1) lr           what beta1 has made of the learning rates so far, one number per tensor
//   m <- beta1 m + lr (1 - beta1) g / (sqrt(v / a_2) + eps)
//   theta <- (theta - m lr / a_1) (1 - lr lambda)
// Source: Ziyin et al. (2020), arXiv:2002.04839.

struct Hyper {
  beta1: f32,
  one_minus_beta1: f32,
  beta2: f32,
  one_minus_beta2: f32,
  eps: f32,
}

// By the tensor's own step count t.
struct StepRow {
  v_correction: f32,    // 1 / sqrt(1 - beta2^t)
}

const EXP_AVG = 0u;
const EXP_AVG_SQ = 1u;

// x: a_1, y: lr / a_1.
fn settle_rule(s: Settling, lr: f32, h: Hyper, t: StepRow) -> vec4f {
  let a1 = h.beta1 * s.numbers.x + h.one_minus_beta1 * lr;
  return vec4f(a1, select(lr / a1, 0.0, lr == 0.0), 0.0, 0.0);
}

fn update_rule(at: u32, theta: Lane, g: Lane, lr: f32, h: Hyper, t: StepRow) -> Lane {
  let v = h.beta2 * load_state(EXP_AVG_SQ, at) + h.one_minus_beta2 * (g * g);
  let m = h.beta1 * load_state(EXP_AVG, at) + (lr * h.one_minus_beta1) * (g / (sqrt(v) * t.v_correction + h.eps));
  store_state(EXP_AVG_SQ, at, v);
  store_state(EXP_AVG, at, m);
  let u = tensor_numbers.y * m;
  return u + (lr * rule_decay) * (theta - u);
}
