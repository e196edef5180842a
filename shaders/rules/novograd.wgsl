// NovoGrad, as timm's NvNovoGrad: the second moment is one number per tensor.
//   v_1 = norm(g)^2,  v <- beta2 v + (1 - beta2) norm(g)^2            AMSGrad: the largest v so far, in place of v
//   m <- beta1 m + (g / (sqrt(v) + eps) + lambda theta)               times 1 - beta1 with averaging of the gradient
//   u = lr m
// Source: Ginsburg et al. (2019), arXiv:1905.11286.

struct Hyper {
  beta1: f32,
  taken: f32,           // 1 - beta1 with averaging of the gradient, else 1
  beta2: f32,
  one_minus_beta2: f32,
  eps: f32,
  amsgrad: f32,         // 1: this group uses AMSGrad
}

struct StepRow {
  unused: f32,
}

const EXP_AVG = 0u;

// beta2 v + (1 - beta2) n. Where v remembers long, what beta2 is off in float32 would be off in every step of that: 1e-6 after 50.
fn remembered(v: f32, n: f32, h: Hyper) -> f32 {
  return select(h.beta2 * v + h.one_minus_beta2 * n, v + h.one_minus_beta2 * (n - v), h.beta2 > 0.5);
}

fn prepare_rule(at: u32, theta: Lane, g: Lane, lr: f32, h: Hyper, t: StepRow) -> Prepared {
  return Prepared(g * g, Lane(0.0));
}

// x: v, y: the largest v so far, z: sqrt(v) + eps.
fn settle_rule(s: Settling, lr: f32, h: Hyper, t: StepRow) -> vec4f {
  var v = s.sums.x;
  if (s.numbers.x != 0.0) { v = remembered(s.numbers.x, v, h); }
  let top = max(s.numbers.y, v);
  return vec4f(v, top, sqrt(select(v, top, h.amsgrad > 0.0)) + h.eps, 0.0);
}

fn update_rule(at: u32, theta: Lane, g: Lane, lr: f32, h: Hyper, t: StepRow) -> Lane {
  let scaled = h.taken * (g / tensor_numbers.z + rule_decay * theta);
  let m = h.beta1 * load_state(EXP_AVG, at) + scaled;
  store_state(EXP_AVG, at, m);
  return lr * m;
}
