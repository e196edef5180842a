// Muon: momentum whose singular values are brought near 1. In two passes, between which Newton and Schulz's iteration runs on the
// matrices (newton-schulz/):
//   b <- mu b + (1 - mu) g          u = (1 - mu) g + mu b with Nesterov momentum, else b          first pass: u goes to a slot
//   theta <- theta - lr r X         X: u orthogonalized; r: a factor that follows from the shape  second pass
// Source: Jordan et al. (2024), https://kellerjordan.github.io/posts/muon; torch.optim.Muon.

struct Hyper {
  momentum: f32,        // mu
  one_minus_momentum: f32,
  nesterov: f32,        // 1: Nesterov momentum
}

struct StepRow {
  unused: f32,
}

const MOMENTUM_BUFFER = 0u;
const UPDATE = 1u;

fn prepare_rule(at: u32, theta: Lane, g: Lane, lr: f32, h: Hyper, t: StepRow) -> Prepared {
  let taken = h.one_minus_momentum * g;
  let b = h.momentum * load_state(MOMENTUM_BUFFER, at) + taken;
  store_state(MOMENTUM_BUFFER, at, b);
  store_state(UPDATE, at, select(b, taken + h.momentum * b, h.nesterov > 0.0));
  return Prepared(Lane(0.0), Lane(0.0));
}

fn update_rule(at: u32, theta: Lane, g: Lane, lr: f32, h: Hyper, t: StepRow) -> Lane {
  return (lr * tensor_numbers.x) * load_state(UPDATE, at);
}
