// LAMB, layer-wise adaptive moments, as timm's and cybertronai's Lamb:
//   m <- beta1 m + (1 - beta1) g          v <- beta2 v + (1 - beta2) g^2
//   u = m^ / (sqrt(v^) + eps) + lambda theta                  m^, v^: bias-corrected, if wanted
//   theta <- theta - lr (norm(theta) / norm(u)) u             the trust ratio: 1 where a norm is 0
// Source: You et al. (2020), arXiv:1904.00962.

struct Hyper {
  beta1: f32,
  taken: f32,           // 1 - beta1, or 1 without averaging of the gradient
  beta2: f32,
  one_minus_beta2: f32,
  eps: f32,
  most_norm: f32,       // norm(theta) is taken as at most this
  always_adapt: f32,    // 1: a trust ratio without decay too
  trust_clip: f32,      // 1: the trust ratio is at most 1
}

// By the number of updates t: timm counts per group.
struct StepRow {
  m_correction: f32,    // 1 / (1 - beta1^t)
  v_correction: f32,    // 1 / sqrt(1 - beta2^t)
}

const EXP_AVG = 0u;
const EXP_AVG_SQ = 1u;

fn direction(theta: Lane, m: Lane, v: Lane, h: Hyper, t: StepRow) -> Lane {
  return t.m_correction * m / (sqrt(v) * t.v_correction + h.eps) + rule_decay * theta;
}

fn next_m(at: u32, g: Lane, h: Hyper) -> Lane { return h.beta1 * load_state(EXP_AVG, at) + h.taken * g; }
fn next_v(at: u32, g: Lane, h: Hyper) -> Lane { return h.beta2 * load_state(EXP_AVG_SQ, at) + h.one_minus_beta2 * (g * g); }

fn prepare_rule(at: u32, theta: Lane, g: Lane, lr: f32, h: Hyper, t: StepRow) -> Prepared {
  let u = direction(theta, next_m(at, g, h), next_v(at, g, h), h, t);
  return Prepared(theta * theta, u * u);
}

// x: the trust ratio.
fn settle_rule(s: Settling, lr: f32, h: Hyper, t: StepRow) -> vec4f {
  var ratio = 1.0;
  if (s.lambda != 0.0 || h.always_adapt > 0.0) {
    // Where decay comes first, the norm is of what is left.
    let theta_norm = min(abs(1.0 - s.first_decay) * sqrt(s.sums.x), h.most_norm);
    let u_norm = sqrt(s.sums.y);
    if (theta_norm > 0.0 && u_norm > 0.0) { ratio = theta_norm / u_norm; }
    if (h.trust_clip > 0.0) { ratio = min(ratio, 1.0); }
  }
  return vec4f(ratio, 0.0, 0.0, 0.0);
}

fn update_rule(at: u32, theta: Lane, g: Lane, lr: f32, h: Hyper, t: StepRow) -> Lane {
  let m = next_m(at, g, h);
  let v = next_v(at, g, h);
  store_state(EXP_AVG, at, m);
  store_state(EXP_AVG_SQ, at, v);
  return (lr * tensor_numbers.x) * direction(theta, m, v, h, t);
}
