// Rprop, resilient backpropagation, as torch.optim.Rprop:
//   s = sign(g g_prev)                    Delta_0 = lr
//   Delta <- clamp(Delta * (eta+ if s > 0, eta- if s < 0, else 1), Delta_min, Delta_max)
//   g <- 0 where s < 0                    u = sign(g) Delta            g_prev <- g
// lr is nothing but the first step size. Delta becomes lr in the padding of a segment: harmless, the sign is 0 there.
// The product of two signs is taken, not the sign of a product, which may vanish in float32.
// Source: Riedmiller & Braun (1993), https://doi.org/10.1109/ICNN.1993.298623, in the form Rprop- of Igel & Hüsken (2000).

struct Hyper {
  eta_minus: f32,
  eta_plus: f32,
  least: f32,           // Delta_min
  most: f32,            // Delta_max
}

// By the tensor's own step count.
struct StepRow {
  first: f32,           // 1 in the first step, else 0
}

const PREV = 0u;
const STEP_SIZE = 1u;

fn update_rule(at: u32, theta: Lane, g: Lane, lr: f32, h: Hyper, t: StepRow) -> Lane {
  let sign_g = sign(g);
  let s = sign_g * sign(load_state(PREV, at));
  let turned = s < Lane(0.0);
  let up = select(Lane(1.0), Lane(h.eta_plus), s > Lane(0.0));
  let factor = select(up, Lane(h.eta_minus), turned);
  let delta = clamp((load_state(STEP_SIZE, at) + t.first * lr) * factor, Lane(h.least), Lane(h.most));
  store_state(PREV, at, select(g, Lane(0.0), turned));
  store_state(STEP_SIZE, at, delta);
  return select(sign_g * delta, Lane(0.0), turned);
}
