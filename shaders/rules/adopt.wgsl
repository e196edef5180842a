// ADOPT, Adam that divides by the v of the step before, as timm's ADOPT:
//   step 1:  v <- g^2, and nothing else
//   later:   n = clamp(g / max(sqrt(v), eps), -c, c),  c = (t - 1)^clip_exp
//            m <- beta1 m + (1 - beta1) n          u = lr m          then v <- beta2 v + (1 - beta2) g^2
// Source: Taniguchi et al. (2024), arXiv:2411.02853, algorithm 2 with clipping; https://github.com/huggingface/pytorch-image-models.

struct Hyper {
  beta1: f32,
  one_minus_beta1: f32,
  beta2: f32,
  one_minus_beta2: f32,
  eps: f32,
}

// By the tensor's own step count t.
struct StepRow {
  limit: f32,           // c; without clipping the largest float32
  later: f32,           // 0 in the first step, else 1
}

const EXP_AVG = 0u;
const EXP_AVG_SQ = 1u;

fn update_rule(at: u32, theta: Lane, g: Lane, lr: f32, h: Hyper, t: StepRow) -> Lane {
  let v = load_state(EXP_AVG_SQ, at);
  let before = load_state(EXP_AVG, at);
  // In the first step m stays 0, whatever g is, and g^2 is taken whole.
  let n = select(Lane(0.0), clamp(g / max(sqrt(v), Lane(h.eps)), Lane(-t.limit), Lane(t.limit)), t.later > 0.0);
  let m = h.beta1 * before + h.one_minus_beta1 * n;
  store_state(EXP_AVG, at, m);
  store_state(EXP_AVG_SQ, at, (t.later * h.beta2) * v + (t.later * h.one_minus_beta2 + (1.0 - t.later)) * (g * g));
  return lr * m;
}
