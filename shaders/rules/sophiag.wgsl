// Sophia-G: momentum divided by an estimate of the Hessian's diagonal, and clipped to the sign.
//   m <- beta1 m + (1 - beta1) g         u = lr sign(m) min(|m| / (rho bs h + 1e-15), 1)
// and, every few steps by itself (`Optimizer.estimate`), h <- beta2 h + (1 - beta2) q^2, where q is the gradient of a loss whose labels
// were drawn from the model's own predictions.
// Source: Liu et al. (2024), arXiv:2305.14342, and its code, https://github.com/Liuhong99/Sophia.

struct Hyper {
  beta1: f32,
  one_minus_beta1: f32,
  beta2: f32,
  one_minus_beta2: f32,
  rho_bs: f32,          // rho times the samples of the estimate
}

struct StepRow {
  unused: f32,
}

const EXP_AVG = 0u;
const HESSIAN = 1u;

fn prepare_rule(at: u32, theta: Lane, g: Lane, lr: f32, h: Hyper, t: StepRow) -> Prepared {
  store_state(HESSIAN, at, h.beta2 * load_state(HESSIAN, at) + h.one_minus_beta2 * (g * g));
  return Prepared(Lane(0.0), Lane(0.0));
}

fn update_rule(at: u32, theta: Lane, g: Lane, lr: f32, h: Hyper, t: StepRow) -> Lane {
  let m = h.beta1 * load_state(EXP_AVG, at) + h.one_minus_beta1 * g;
  store_state(EXP_AVG, at, m);
  return lr * sign(m) * min(abs(m) / (h.rho_bs * load_state(HESSIAN, at) + 1e-15), Lane(1.0));
}
