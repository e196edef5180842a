// Averaged SGD, as torch.optim.ASGD:
//   theta <- theta (1 - lambd eta_t) - eta_t g                 eta_1 = lr,  eta_(t+1) = lr / (1 + lambd lr t)^alpha
//   ax <- theta where mu_t = 1, else ax + mu_t (theta - ax)    mu_t = 1 / max(1, t - 1 - t0)
// Decay that comes before the update comes before both. A changed lr acts one step late: eta and mu are made at the end of a step, one
// number each per tensor.
// Source: Polyak & Juditsky (1992), SIAM J. Control Optim. 30(4).

struct Hyper {
  lambd: f32,
  alpha: f32,
}

// By the tensor's own step count t.
struct StepRow {
  t: f32,
  next_mu: f32,         // mu of the step after
}

const AX = 0u;

// ln(1 + x) for x >= 0. Below 1 by its series, since 1 + x would round x away.
fn ln_one_plus(x: f32) -> f32 {
  if (x >= 1.0) { return log(1.0 + x); }
  let s = x / (2.0 + x);
  let q = s * s;
  return 2.0 * s * (1.0 + q * (1.0 / 3.0 + q * (0.2 + q * (1.0 / 7.0 + q * (1.0 / 9.0 + q * (1.0 / 11.0 + q / 13.0))))));
}

// x: eta of the next step, y: mu of the next step; z, w: those of this one.
fn settle_rule(s: Settling, lr: f32, h: Hyper, t: StepRow) -> vec4f {
  let next = lr * exp(-h.alpha * ln_one_plus(h.lambd * lr * t.t));
  return vec4f(next, t.next_mu, select(s.numbers.x, lr, s.first), select(s.numbers.y, 1.0, s.first));
}

fn update_rule(at: u32, theta: Lane, g: Lane, lr: f32, h: Hyper, t: StepRow) -> Lane {
  return tensor_numbers.z * (h.lambd * ((1.0 - first_decay) * theta) + g);
}

fn finish_rule(at: u32, theta: Lane) {
  let mu = tensor_numbers.w;
  var ax = theta;
  if (mu != 1.0) {
    let before = load_state(AX, at);
    ax = before + mu * (theta - before);
  }
  store_state(AX, at, ax);
}
