// RAdam, Adam whose step is rectified for the variance of v while t is small, as torch.optim.RAdam:
//   m <- beta1 m + (1 - beta1) g          v <- beta2 v + (1 - beta2) g^2
//   rho_inf = 2 / (1 - beta2) - 1,  rho_t = rho_inf - 2 t beta2^t / (1 - beta2^t)
//   rho_t > 5:  u = lr r_t sqrt(1 - beta2^t) / (1 - beta1^t) * m / (sqrt(v) + eps)
//               r_t = sqrt((rho_t - 4) (rho_t - 2) rho_inf / ((rho_inf - 4) (rho_inf - 2) rho_t))
//   else:       u = lr / (1 - beta1^t) * m
// eps is added to the root of v before the bias correction, unlike in Adam.
// Source: Liu et al. (2020), arXiv:1908.03265.

struct Hyper {
  beta1: f32,
  one_minus_beta1: f32,
  beta2: f32,
  one_minus_beta2: f32,
  eps: f32,
}

// By the tensor's own step count t; one of the two is 0. The cancellation in rho_t needs float64.
struct StepRow {
  rectified: f32,       // r_t sqrt(1 - beta2^t) / (1 - beta1^t)
  plain: f32,           // 1 / (1 - beta1^t)
}

const EXP_AVG = 0u;
const EXP_AVG_SQ = 1u;

fn update_rule(at: u32, theta: Lane, g: Lane, lr: f32, h: Hyper, t: StepRow) -> Lane {
  let m = h.beta1 * load_state(EXP_AVG, at) + h.one_minus_beta1 * g;
  let v = h.beta2 * load_state(EXP_AVG_SQ, at) + h.one_minus_beta2 * (g * g);
  store_state(EXP_AVG, at, m);
  store_state(EXP_AVG_SQ, at, v);
  if (t.rectified > 0.0) { return (lr * t.rectified) * m / (sqrt(v) + h.eps); }
  return (lr * t.plain) * m;
}
