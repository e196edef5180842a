// Signum, sign SGD with momentum; without momentum sign SGD:
//   m <- beta m + (1 - beta) g            u = lr sign(m)
// The sign of 0 is 0.
// Source: Bernstein et al. (2018), arXiv:1802.04434, algorithm 2.

override MOMENTUM: bool = false;  // some group has momentum

struct Hyper {
  beta: f32,
  one_minus_beta: f32,
}

struct StepRow {
  unused: f32,
}

const MOMENTUM_BUFFER = 0u;

fn update_rule(at: u32, theta: Lane, g: Lane, lr: f32, h: Hyper, t: StepRow) -> Lane {
  // A group without momentum beside others that have it keeps its buffer zero: momentum may set in later.
  if (!MOMENTUM || h.beta == 0.0) { return lr * sign(g); }
  let m = h.beta * load_state(MOMENTUM_BUFFER, at) + h.one_minus_beta * g;
  store_state(MOMENTUM_BUFFER, at, m);
  return lr * sign(m);
}
