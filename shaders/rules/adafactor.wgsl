// Adafactor: second moments of a matrix as the product of those of its rows and its columns, and updates clipped by their root mean
// square. beta = 1 - t^-decay.
//   R, C: means of s(g) by row and by column (factor.wgsl), B: mean of R; for other tensors V <- beta V + (1 - beta) s(g)
//   fairseq (transformers, timm):  s(g) = g^2 + eps1        u = g / sqrt(R / B) / sqrt(C), or g / sqrt(V)
//   PyTorch:                       s(g) = g^2               u = g / sqrt(max(V, eps1^2)),  V = R C / max(B, eps1)
//   alpha = max(eps2, rms(theta)) rho                       rho: lr, or by the step; the first factor where it is wanted
//   u <- alpha u / max(1, rms(u) / d)                       m <- beta1 m + (1 - beta1) u, in the place of u, with beta1 > 0
// Source: Shazeer & Stern (2018), arXiv:1804.04235.

override MOMENTUM: bool = false;  // some group has beta1 > 0

struct Hyper {
  torch: f32,           // 1: as PyTorch, else as fairseq
  eps1: f32,
  eps2: f32,
  threshold: f32,       // d
  beta1: f32,
  one_minus_beta1: f32,
  relative: f32,        // 1: rho follows from the step alone
  scaled: f32,          // 1: alpha grows with theta
}

// By the tensor's own step count t.
struct StepRow {
  keep: f32,            // beta
  take: f32,            // 1 - beta
  rho: f32,             // min(1e-2 or 1e-6 t, 1 / sqrt(t)); PyTorch: 1 / sqrt(t), the most that lr may be
}

const EXP_AVG = 0u;

fn factor_square(g: f32, h: Hyper) -> f32 { return g * g + select(h.eps1, 0.0, h.torch > 0.0); }
fn factor_mean(mean: f32, toward: f32, t: StepRow) -> f32 { return t.keep * mean + t.take * toward; }

// A tensor is seen as [outer, rows, cols, inner], and has a B for every pair (outer, inner). Those that a chunk needs are made before the
// walk over it, by all invocations together; where they are more than 64, B is made where it is needed: so many pairs have few rows.
var<workgroup> wg_shares: array<f32, WORKGROUP_SIZE>;
var<workgroup> wg_means: array<f32, 64>;
var<private> first_pair: u32;
var<private> pairs_made: u32;

fn open_rule(chunk: vec4u, of_tensor: TensorControl, lane: u32) {
  pairs_made = 0u;
  if (of_tensor.rows == 0u) { return; }
  let inner = of_tensor.inner;
  let each = of_tensor.rows * of_tensor.cols * inner;
  let last = min(chunk.w + chunk.z * LANES, of_tensor.size) - 1u;
  let first = chunk.w / each * inner;
  let pairs = (last / each + 1u) * inner - first;
  if (pairs > 64u) { return; }
  first_pair = first;
  pairs_made = pairs;
  for (var p = 0u; p < pairs; p++) {
    wg_shares[lane] = share_of_rows(first + p, lane);
    workgroupBarrier();
    if (lane == 0u) {
      var sum = 0.0;
      for (var i = 0u; i < WORKGROUP_SIZE; i++) { sum += wg_shares[i]; }
      wg_means[p] = sum / f32(of_tensor.rows);
    }
    workgroupBarrier();
  }
}

// Of R, over the rows of one invocation; in blocks of 32, so that the rounding of a long sum stays small.
fn share_of_rows(pair: u32, lane: u32) -> f32 {
  let n = factored.inner;
  let first = pair / n * factored.rows * n + pair % n;
  let block_rows = 32u * WORKGROUP_SIZE;
  var sum = 0.0;
  for (var block = lane; block < factored.rows; block += block_rows) {
    var inner = 0.0;
    for (var i = block; i < min(block + block_rows, factored.rows); i += WORKGROUP_SIZE) { inner += load_extra(first + i * n); }
    sum += inner;
  }
  return sum;
}

fn mean_of(pair: u32) -> f32 {
  if (pairs_made > 0u) { return wg_means[pair - first_pair]; }
  let n = factored.inner;
  let first = pair / n * factored.rows * n + pair % n;
  var sum = 0.0;
  for (var i = 0u; i < factored.rows; i++) { sum += load_extra(first + i * n); }
  return sum / f32(factored.rows);
}

// Where the V of the elements `at` lies, for a tensor that is not factored.
fn whole_lane(at: u32) -> u32 { return chunk_element + (at - chunk_begin) * LANES; }

fn next_v(at: u32, g: Lane, h: Hyper, t: StepRow) -> Lane {
  return t.keep * load_extra_lane(whole_lane(at)) + t.take * (g * g + select(h.eps1, 0.0, h.torch > 0.0));
}

fn scaled_by_moments(at: u32, g: Lane, h: Hyper, t: StepRow) -> Lane {
  // Of nothing, nothing: behind the last element there are no moments.
  let some = g != Lane(0.0);
  if (factored.rows == 0u) {
    let v = next_v(at, g, h, t);
    return select(Lane(0.0), g / sqrt(select(v, max(v, Lane(h.eps1 * h.eps1)), h.torch > 0.0)), some);
  }
  // Element [o, i, j, k] has R[oi, k] and C[o, j, k], where oi counts the rows of all matrices.
  let n = factored.inner;
  let of_rows = factored.size / factored.cols;
  let element = whole_lane(at);
  var k = element % n;
  var j = element / n % factored.cols;
  var oi = element / n / factored.cols;
  var o = oi / factored.rows;
  var roots = Lane(1.0);
  for (var m = 0u; m < LANES; m++) {
    let r = load_extra(oi * n + k);
    let c = load_extra(of_rows + (o * factored.cols + j) * n + k);
    let b = mean_of(o * n + k);
    // Roots of the factors: their product may be too small for a float32.
    let root = select(sqrt(r / b) * sqrt(c), max(sqrt(r / max(b, h.eps1)) * sqrt(c), h.eps1), h.torch > 0.0);
    roots = lane_set(roots, m, root);
    // On to the next element, but not beyond the last.
    if (element + m + 1u < factored.size) {
      k += 1u;
      if (k == n) { k = 0u; j += 1u; }
      if (j == factored.cols) { j = 0u; oi += 1u; }
      if (oi == (o + 1u) * factored.rows) { o += 1u; }
    }
  }
  return select(Lane(0.0), g / roots, some);
}

fn prepare_rule(at: u32, theta: Lane, g: Lane, lr: f32, h: Hyper, t: StepRow) -> Prepared {
  let u = scaled_by_moments(at, g, h, t);
  return Prepared(theta * theta, u * u);
}

// x: what u is multiplied by, y: alpha, z: rms(theta).
fn settle_rule(s: Settling, lr: f32, h: Hyper, t: StepRow) -> vec4f {
  // A tensor without elements has a root mean square of 0.
  let size = max(s.size, 1.0);
  let rms = sqrt(s.sums.x / size);
  var rho = lr;
  if (h.torch > 0.0) { rho = min(lr, t.rho); } else if (h.relative > 0.0) { rho = t.rho; }
  let alpha = rho * select(1.0, max(h.eps2, rms), h.scaled > 0.0);
  return vec4f(alpha / max(1.0, sqrt(s.sums.y / size) / h.threshold), alpha, rms, 0.0);
}

fn update_rule(at: u32, theta: Lane, g: Lane, lr: f32, h: Hyper, t: StepRow) -> Lane {
  var u = tensor_numbers.x * scaled_by_moments(at, g, h, t);
  if (factored.rows == 0u) { store_extra_lane(whole_lane(at), next_v(at, g, h, t)); }
  if (MOMENTUM) {
    if (h.beta1 > 0.0) {
      u = h.beta1 * load_state(EXP_AVG, at) + h.one_minus_beta1 * u;
      store_state(EXP_AVG, at, u);
    }
  }
  return u + (select(tensor_numbers.y, lr, h.torch > 0.0) * rule_decay) * theta;
}
