// Adagrad, as torch.optim.Adagrad:
//   s <- s + g^2                          s_0 = initial_accumulator_value
//   u = lr / (1 + (t - 1) lr_decay) * g / (sqrt(s) + eps)
// s becomes s_0 in the padding of a segment: harmless, g is 0 there.
// Source: Duchi, Hazan & Singer (2011), https://jmlr.org/papers/v12/duchi11a.html.

struct Hyper {
  eps: f32,
}

// By the tensor's own step count t.
struct StepRow {
  lr_factor: f32,       // 1 / (1 + (t - 1) lr_decay)
  initial: f32,         // s_0 in the first step, else 0
}

const SUM = 0u;

fn update_rule(at: u32, theta: Lane, g: Lane, lr: f32, h: Hyper, t: StepRow) -> Lane {
  let s = load_state(SUM, at) + t.initial + g * g;
  store_state(SUM, at, s);
  return (lr * t.lr_factor) * g / (sqrt(s) + h.eps);
}
