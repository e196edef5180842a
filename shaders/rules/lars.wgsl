// LARS, layer-wise adaptive rates, as timm's Lars:
//   r = c norm(theta) / (norm(g) + lambda norm(theta) + eps)          1 where a norm is 0; c: the trust coefficient
//   g <- r (g + lambda theta), then SGD with momentum: b_1 = g, b_t = mu b + (1 - tau) g;  u = lr (g + mu b) with Nesterov, lr b
// Source: You et al. (2017), arXiv:1708.03888.

override MOMENTUM: bool = false;  // some group has momentum

struct Hyper {
  buffer: f32,          // how much of b goes into u: mu with Nesterov momentum, else 1
  direct: f32,          // how much of g goes into u directly: 1 with Nesterov momentum, else 0
  trust_coeff: f32,     // c
  eps: f32,
  always_adapt: f32,    // 1: a trust ratio without decay too
  trust_clip: f32,      // 1: r is at most lr, and divided by it
}

// By the tensor's own step count.
struct StepRow {
  momentum: f32,        // mu; 0 in the first step
  undamped: f32,        // 1 - tau; 1 in the first step
}

const MOMENTUM_BUFFER = 0u;

fn prepare_rule(at: u32, theta: Lane, g: Lane, lr: f32, h: Hyper, t: StepRow) -> Prepared {
  return Prepared(theta * theta, g * g);
}

// x: the trust ratio r.
fn settle_rule(s: Settling, lr: f32, h: Hyper, t: StepRow) -> vec4f {
  var r = 1.0;
  if (s.lambda != 0.0 || h.always_adapt > 0.0) {
    let theta_norm = sqrt(s.sums.x);
    let g_norm = sqrt(s.sums.y);
    if (theta_norm > 0.0 && g_norm > 0.0) {
      r = h.trust_coeff * theta_norm / (g_norm + s.rule_decay * theta_norm + h.eps);
    }
    // min(r / lr, 1), also for lr = 0.
    if (h.trust_clip > 0.0) { r = select(r / lr, 1.0, r >= lr); }
  }
  return vec4f(r, 0.0, 0.0, 0.0);
}

fn update_rule(at: u32, theta: Lane, g: Lane, lr: f32, h: Hyper, t: StepRow) -> Lane {
  let scaled = tensor_numbers.x * (g + rule_decay * theta);
  if (!MOMENTUM) { return lr * scaled; }
  let b = t.momentum * load_state(MOMENTUM_BUFFER, at) + t.undamped * scaled;
  store_state(MOMENTUM_BUFFER, at, b);
  return lr * (h.direct * scaled + h.buffer * b);
}
