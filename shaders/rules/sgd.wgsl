// Stochastic gradient descent with momentum, dampening and Nesterov momentum, as torch.optim.SGD:
//   b_1 = g_1;  b_t = mu b_{t-1} + (1 - tau) g_t          u = lr (g + mu b) with Nesterov, lr b without
// The first gradient enters the buffer undamped. Where no group has momentum there is no buffer: u = lr g.
// Source: Sutskever et al. (2013), https://proceedings.mlr.press/v28/sutskever13.html, in PyTorch's form.

override MOMENTUM: bool = false;  // some group has momentum

struct Hyper {
  buffer: f32,          // how much of b goes into u: mu with Nesterov momentum, else 1
  direct: f32,          // how much of g goes into u directly: 1 with Nesterov momentum, else 0
}

// By the tensor's own step count.
struct StepRow {
  momentum: f32,        // mu; 0 in the first step
  undamped: f32,        // 1 - tau; 1 in the first step
}

const MOMENTUM_BUFFER = 0u;

fn update_rule(at: u32, theta: Lane, g: Lane, lr: f32, h: Hyper, t: StepRow) -> Lane {
  if (!MOMENTUM) { return lr * g; }
  let b = t.momentum * load_state(MOMENTUM_BUFFER, at) + t.undamped * g;
  store_state(MOMENTUM_BUFFER, at, b);
  return lr * (h.direct * g + h.buffer * b);
}
