// A monitored step: |theta|^2, |delta theta|^2 and, where no `measure` has seen it, |g|^2, one partial per invocation and chunk.
// Regions of the partials: 0 gradient, 1 theta and delta, 2 gradient after clipping by value. The squares of theta and delta theta are
// summed as they are: elements beyond 1e19, and below 1e-19, are beyond what these two norms can tell.

#import lib/norm
#import lib/reduce
#import lib/lane-norm

override FIGURES_GRAD: bool = false;    // no `measure` has seen the gradient

// Sums of squares.
struct Squares {
  theta: Lane,            // theta^2
  delta: Lane,            // delta^2
  grad: Lane,             // g^2 of the raw gradient
  clipped: Lane,          // (g clipped_scale)^2 after clipping by value
}

struct Sums {
  added: u32,             // lanes since the last fold
  block: Squares,         // of these
  folded: Squares,        // of those before
  grad_tops: LaneBits,    // largest bits of |g|
  clipped_scale: f32,
  clipped_exponent: i32,
}

// A gradient clipped by value is at most that value: scaled by it, its square is an ordinary number.
fn sums_begin(group: GroupRecord) -> Sums {
  // Without a limit worth the name, as in a group that is not clipped beside one that is, gradients are taken as they are.
  let clipped_exponent = select(exponent_of(group.clip_value), 0, group.clip_value > 1e12);
  let zero = squares_zero();
  return Sums(0u, zero, zero, LaneBits(0u), pow2(-clipped_exponent), clipped_exponent);
}

fn sums_add(sums: ptr<function, Sums>, raw: Lane, clipped: Lane, updated: Lane, delta: Lane) {
  (*sums).block.theta += updated * updated;
  (*sums).block.delta += delta * delta;
  if (FIGURES_GRAD) {
    (*sums).block.grad += raw * raw;
    (*sums).grad_tops = max((*sums).grad_tops, lane_bits(raw) & LaneBits(0x7fffffffu));
  }
  if (CLIP_VALUE) {
    let scaled_clipped = clipped * (*sums).clipped_scale;
    (*sums).block.clipped += scaled_clipped * scaled_clipped;
  }
  (*sums).added += 1u;
  if ((*sums).added == FOLD_EVERY) { sums_fold(sums); }
}

fn squares_zero() -> Squares {
  return Squares(Lane(0.0), Lane(0.0), Lane(0.0), Lane(0.0));
}

fn sums_fold(sums: ptr<function, Sums>) {
  let block = (*sums).block;
  (*sums).folded.theta += block.theta;
  (*sums).folded.delta += block.delta;
  if (FIGURES_GRAD) { (*sums).folded.grad += block.grad; }
  if (CLIP_VALUE) { (*sums).folded.clipped += block.clipped; }
  (*sums).block = squares_zero();
  (*sums).added = 0u;
}

fn sums_store(unfolded: Sums, c: u32, chunk: vec4u, lane: u32) {
  var sums = unfolded;
  sums_fold(&sums);
  let at = c * WORKGROUP_SIZE + lane;
  if (FIGURES_GRAD) { partials[at] = partial_pack(grad_partial(sums.folded.grad, lane_top(sums.grad_tops), chunk, lane)); }
  store_norms(at, Norm(lane_sum(sums.folded.theta), 0), Norm(lane_sum(sums.folded.delta), 0));
  if (CLIP_VALUE) { store_clipped(at, Norm(lane_sum(sums.folded.clipped), sums.clipped_exponent)); }
}

fn grad_partial(squares: Lane, top: u32, chunk: vec4u, lane: u32) -> Partial {
  if (glance_suffices(top)) { return glance_partial(squares, top); }
  var careful = PARTIAL_ZERO;
  for (var begin = lane; begin < chunk.z; begin += FOLD_EVERY * WORKGROUP_SIZE) {
    var block = PARTIAL_ZERO;
    for (var i = begin; i < min(begin + FOLD_EVERY * WORKGROUP_SIZE, chunk.z); i += WORKGROUP_SIZE) {
      block = partial_add(block, lane_bits(load_grad(chunk.y + i)), 2.0);
    }
    careful = partial_join(careful, block, 2.0);
  }
  return careful;
}

fn store_norms(at: u32, theta: Norm, delta: Norm) {
  partials[header.chunk_count * WORKGROUP_SIZE + at] =
    vec4u(bitcast<u32>(theta.sum), bitcast<u32>(theta.exponent), bitcast<u32>(delta.sum), bitcast<u32>(delta.exponent));
}

fn store_clipped(at: u32, norm: Norm) {
  partials[2u * header.chunk_count * WORKGROUP_SIZE + at] = partial_pack(Partial(norm, 0.0, 0u));
}

// A chunk that is not updated still has a norm.
fn stand_still(c: u32, chunk: vec4u, lane: u32) {
  var squares = Lane(0.0);
  for (var begin = lane; begin < chunk.z; begin += FOLD_EVERY * WORKGROUP_SIZE) {
    var block = Lane(0.0);
    for (var i = begin; i < min(begin + FOLD_EVERY * WORKGROUP_SIZE, chunk.z); i += WORKGROUP_SIZE) {
      let theta = load_param(chunk.y + i);
      block += theta * theta;
    }
    squares += block;
  }
  let at = c * WORKGROUP_SIZE + lane;
  if (FIGURES_GRAD) { partials[at] = partial_pack(PARTIAL_ZERO); }
  store_norms(at, Norm(lane_sum(squares), 0), NORM_ZERO);
  if (CLIP_VALUE) { store_clipped(at, NORM_ZERO); }
}
