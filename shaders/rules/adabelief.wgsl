// AdaBelief, Adam with the variance of the gradient around its mean in the place of its square, as the authors' adabelief_pytorch:
//   m <- beta1 m + (1 - beta1) g          s <- beta2 s + (1 - beta2) (g - m)^2 + eps          with the new m
//   AMSGrad: s^ <- max(s^, s), used in place of s
//   rectified as RAdam, rho_t >= 5:  u = lr r_t sqrt(1 - beta2^t) / (1 - beta1^t) * m / (sqrt(s) + eps)
//                              else  u = lr / (1 - beta1^t) * m,  or 0 unless it degenerates to SGD
//   not rectified:                   u = lr / (1 - beta1^t) * m / (sqrt(s) / sqrt(1 - beta2^t) + eps)
// eps stays in s. So s becomes eps in the padding of a segment: harmless, m is 0 there.
// Source: Zhuang et al. (2020), arXiv:2010.07468; https://github.com/juntang-zhuang/Adabelief-Optimizer.

override AMSGRAD: bool = false;   // some group uses AMSGrad

struct Hyper {
  beta1: f32,
  one_minus_beta1: f32,
  beta2: f32,
  one_minus_beta2: f32,
  eps: f32,             // in s
  root_eps: f32,        // beside the root of s; at least the smallest normal float32
  amsgrad: f32,         // 1: this group uses AMSGrad
}

// By the tensor's own step count t; where `adaptive` is 0 there is no division.
struct StepRow {
  adaptive: f32,        // 1 / (1 - beta1^t), rectified r_t sqrt(1 - beta2^t) / (1 - beta1^t)
  s_correction: f32,    // 1 / sqrt(1 - beta2^t), rectified 1
  plain: f32,           // 1 / (1 - beta1^t) or 0
}

const EXP_AVG = 0u;
const EXP_AVG_VAR = 1u;
const MAX_EXP_AVG_VAR = 2u;

fn update_rule(at: u32, theta: Lane, g: Lane, lr: f32, h: Hyper, t: StepRow) -> Lane {
  let before = load_state(EXP_AVG, at);
  let m = h.beta1 * before + h.one_minus_beta1 * g;
  // g - m without the cancellation of a small beta1.
  let surprise = h.beta1 * (g - before);
  var s = h.beta2 * load_state(EXP_AVG_VAR, at) + h.one_minus_beta2 * (surprise * surprise) + h.eps;
  store_state(EXP_AVG, at, m);
  store_state(EXP_AVG_VAR, at, s);
  if (AMSGRAD) {
    if (h.amsgrad > 0.0) {
      s = max(load_state(MAX_EXP_AVG_VAR, at), s);
      store_state(MAX_EXP_AVG_VAR, at, s);
    }
  }
  if (t.adaptive > 0.0) { return (lr * t.adaptive) * m / (sqrt(s) * t.s_correction + h.root_eps); }
  return (lr * t.plain) * m;
}
