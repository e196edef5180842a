// RMSprop, centered and with momentum if asked for, as torch.optim.RMSprop:
//   v <- alpha v + (1 - alpha) g^2          centered: a <- alpha a + (1 - alpha) g,  v' = v - a^2;  else v' = v
//   x = g / (sqrt(v') + eps)                momentum: b <- mu b + x,  u = lr b;  else u = lr x
// and in TensorFlow's form: v_0 = 1,  x = lr g / sqrt(v' + eps),  u = b or x, so lr is inside the momentum.
// Rounding may make v' negative where gradients hardly vary: it is taken as 0 then, where PyTorch gives NaN.
// v becomes other than 0 in the padding of a segment with v_0 = 1: harmless, g is 0 there.
// Source: Hinton (2012), lecture 6e of "Neural networks for machine learning"; Graves (2013), arXiv:1308.0850 (centered).

override CENTERED: bool = false;  // some group is centered
override MOMENTUM: bool = false;  // some group has momentum

struct Hyper {
  alpha: f32,
  one_minus_alpha: f32,
  inner_eps: f32,       // inside the root
  outer_eps: f32,       // outside the root; at least the smallest normal float32
  momentum: f32,
  centered: f32,        // 1: this group is centered
  lr_inside: f32,       // 1: lr is inside the momentum
}

// By the tensor's own step count.
struct StepRow {
  initial: f32,         // v_0 in the first step, else 0
}

const SQUARE_AVG = 0u;
const MOMENTUM_BUFFER = 1u;
const GRAD_AVG = 2u;

fn update_rule(at: u32, theta: Lane, g: Lane, lr: f32, h: Hyper, t: StepRow) -> Lane {
  let v_before = load_state(SQUARE_AVG, at) + t.initial;
  let v = h.alpha * v_before + h.one_minus_alpha * (g * g);
  store_state(SQUARE_AVG, at, v);
  var variance = v;
  if (CENTERED) {
    if (h.centered > 0.0) {
      let a = load_state(GRAD_AVG, at);
      store_state(GRAD_AVG, at, h.alpha * a + h.one_minus_alpha * g);
      // v - a^2 from the values before, which cancels less.
      let off = g - a;
      variance = max(h.alpha * (v_before - a * a) + h.alpha * h.one_minus_alpha * (off * off), Lane(0.0));
    }
  }
  let x = g / (sqrt(variance + h.inner_eps) + h.outer_eps);
  if (MOMENTUM) {
    // A group without momentum keeps its buffer zero: momentum may set in later.
    if (h.momentum > 0.0) {
      let inside = select(1.0, lr, h.lr_inside > 0.0);
      let b = h.momentum * load_state(MOMENTUM_BUFFER, at) + inside * x;
      store_state(MOMENTUM_BUFFER, at, b);
      return select(lr, 1.0, h.lr_inside > 0.0) * b;
    }
  }
  return lr * x;
}
