// Adadelta, as torch.optim.Adadelta:
//   v <- rho v + (1 - rho) g^2            d = sqrt(a + eps) / sqrt(v + eps) * g            a <- rho a + (1 - rho) d^2
//   u = lr d
// eps stands inside both roots.
// Source: Zeiler (2012), arXiv:1212.5701.

struct Hyper {
  rho: f32,
  one_minus_rho: f32,
  eps: f32,
  divisor_eps: f32,     // eps, but at least the smallest normal float32
}

struct StepRow {
  unused: f32,
}

const SQUARE_AVG = 0u;
const ACC_DELTA = 1u;

fn update_rule(at: u32, theta: Lane, g: Lane, lr: f32, h: Hyper, t: StepRow) -> Lane {
  let v = h.rho * load_state(SQUARE_AVG, at) + h.one_minus_rho * (g * g);
  let a = load_state(ACC_DELTA, at);
  let d = sqrt(a + h.eps) / sqrt(v + h.divisor_eps) * g;
  store_state(SQUARE_AVG, at, v);
  store_state(ACC_DELTA, at, h.rho * a + h.one_minus_rho * (d * d));
  return lr * d;
}
