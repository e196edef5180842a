// Lion, evolved sign momentum:
//   u = lr sign(beta1 m + (1 - beta1) g)          then m <- beta2 m + (1 - beta2) g
// The sign of 0 is 0.
// Source: Chen et al. (2023), arXiv:2302.06675, program 1.

struct Hyper {
  beta1: f32,
  one_minus_beta1: f32,
  beta2: f32,
  one_minus_beta2: f32,
}

struct StepRow {
  unused: f32,
}

const EXP_AVG = 0u;

fn update_rule(at: u32, theta: Lane, g: Lane, lr: f32, h: Hyper, t: StepRow) -> Lane {
  let m = load_state(EXP_AVG, at);
  store_state(EXP_AVG, at, h.beta2 * m + h.one_minus_beta2 * g);
  return lr * sign(h.beta1 * m + h.one_minus_beta1 * g);
}
