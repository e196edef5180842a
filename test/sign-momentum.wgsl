// A rule of a user's own, as tests bring it: the sign of momentum whose memory grows with the step count t (Bernstein et al. 2018,
// arXiv:1802.04434, with a running mean at first).
//   m <- b_t m + (1 - b_t) g,  b_t = beta t / (t + 1)          u = lr sign(m)

struct Hyper {
  unused: f32,
}

// By the tensor's own step count t.
struct StepRow {
  keep: f32,            // b_t
  take: f32,            // 1 - b_t
}

const MOMENTUM = 0u;

fn update_rule(at: u32, theta: Lane, g: Lane, lr: f32, h: Hyper, t: StepRow) -> Lane {
  let m = t.keep * load_state(MOMENTUM, at) + t.take * g;
  store_state(MOMENTUM, at, m);
  return lr * sign(m);
}
