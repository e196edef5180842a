// Schedule-Free SGD, AdamW and RAdam, as facebookresearch/schedule_free. theta is y, where gradients are taken; z is state; the
// parameters to evaluate are x, of which y = beta x + (1 - beta) z.
//   n = g / (sqrt(v / (1 - beta2^t)) + eps) + lambda y      v <- beta2 v + (1 - beta2) g^2; SGD: n = g + lambda y
//   z' = z - gamma n        x' = (1 - c) x + c z'        y' = beta x' + (1 - beta) z'
// so that  y - y' = c (y - z) + (1 - beta (1 - c)) gamma n. gamma and c follow from the learning rates so far: the host computes them.
// With inner momentum the bias-corrected mean of the gradients takes the place of g.
// Source: Defazio et al. (2024), arXiv:2405.15682.

override ADAPTIVE: bool = false;        // AdamW and RAdam: there is v
override INNER_MOMENTUM: bool = false;  // some group has inner momentum

struct Hyper {
  beta: f32,            // of the interpolation between x and z
  beta2: f32,
  one_minus_beta2: f32,
  eps: f32,
  inner: f32,           // inner momentum; 0: none
  one_minus_inner: f32,
  gamma: f32,           // of this update
  c: f32,
  z_share: f32,         // 1 - beta (1 - c)
  v_correction: f32,    // 1 / sqrt(1 - beta2^t); t counts the group's updates
  inner_correction: f32, // 1 / (1 - inner^t)
  plain: f32,           // 1: n = g + lambda y all the same, before RAdam rectifies
}

// By the tensor's own step count.
struct StepRow {
  first: f32,           // 1 in the first step: z begins as y
}

const Z = 0u;
const EXP_AVG_SQ = 1u;
const EXP_AVG = 2u;

fn update_rule(at: u32, theta: Lane, g: Lane, lr: f32, h: Hyper, t: StepRow) -> Lane {
  var z = theta;
  if (t.first == 0.0) { z = load_state(Z, at); }
  var n = g;
  if (ADAPTIVE) {
    let v = h.beta2 * load_state(EXP_AVG_SQ, at) + h.one_minus_beta2 * (g * g);
    store_state(EXP_AVG_SQ, at, v);
    var taken = g;
    if (INNER_MOMENTUM) {
      if (h.inner > 0.0) {
        let m = h.inner * load_state(EXP_AVG, at) + h.one_minus_inner * g;
        store_state(EXP_AVG, at, m);
        taken = h.inner_correction * m;
      }
    }
    n = select(taken / (sqrt(v) * h.v_correction + h.eps), taken, h.plain > 0.0);
  }
  n += rule_decay * theta;
  store_state(Z, at, z - h.gamma * n);
  return h.c * (theta - z) + (h.z_share * h.gamma) * n;
}

// x, of which y = beta x + (1 - beta) z.
fn evaluation_point(at: u32, theta: Lane, h: Hyper, t: StepRow) -> Lane {
  return theta + (1.0 / h.beta - 1.0) * (theta - load_state(Z, at));
}
