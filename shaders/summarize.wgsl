// Stage 4, summarize. One workgroup joins the partials of a monitored step into one row of figures per tensor:
// the norms of parameter and update, and those of the gradient. Groups and totals are joined on the host, in float64.

#import lib/records
#import lib/norm
#import lib/reduce

override WORKGROUP_SIZE: u32 = 64;
override FIGURES_GRAD: bool = false;    // the gradient's partials come from `update`; else `control` holds its figures
override CLIP_VALUE: bool = false;      // the norm after clipping by value is in region 2

struct TensorFigures {
  grad_norm: f32,       // of the raw gradient
  clipped_norm: f32,    // 2-norm after unscaling and clipping by value; 0 where nothing is clipped by value
  param_norm: f32,      // 2-norm after the step
  update_norm: f32,     // 2-norm of what the step subtracted
  max_grad: f32,        // largest finite |raw gradient|
  non_finite: u32,      // number of non-finite gradients; bit 31: a NaN is among them
  factor: f32,          // what the raw gradient was multiplied by
  bad_steps: u32,       // steps so far in which this tensor had a non-finite gradient
}

struct Figures {
  step: u32,            // the header's
  skip: u32,
  skipped: u32,
  clip: f32,
  loss_scale: f32,
  tensors: array<TensorFigures>,
}

@group(0) @binding(0) var<uniform> header: Header;
@group(0) @binding(1) var<storage, read> table: array<vec4u>;                  // tensor rows, then chunk rows
@group(0) @binding(2) var<storage, read> control: Control;
@group(0) @binding(3) var<storage, read_write> partials: array<vec4u>;         // [region][chunk][invocation]
@group(0) @binding(4) var<storage, read_write> figures: Figures;

@compute @workgroup_size(WORKGROUP_SIZE)
fn summarize(@builtin(local_invocation_index) lane: u32) {
  let region = header.chunk_count * WORKGROUP_SIZE;
  for (var c = lane; c < header.chunk_count; c += WORKGROUP_SIZE) {
    let first = c * WORKGROUP_SIZE;
    if (FIGURES_GRAD) { partials[first] = partial_pack(partial_sum(first, WORKGROUP_SIZE, 1u, 2.0)); }
    partials[region + first] = pair_sum(region + first, WORKGROUP_SIZE, 1u);
    if (CLIP_VALUE) { partials[2u * region + first] = partial_pack(partial_sum(2u * region + first, WORKGROUP_SIZE, 1u, 2.0)); }
  }
  storageBarrier();

  for (var k = lane; k < header.tensor_count; k += WORKGROUP_SIZE) {
    let first = table[k].w * WORKGROUP_SIZE;
    let chunks = table[k + 1u].w - table[k].w;
    let decided = control.tensors[k];
    var row = TensorFigures(decided.grad_norm, 0.0, 0.0, 0.0, decided.max_grad, decided.non_finite, decided.factor, decided.bad_steps);
    if (FIGURES_GRAD) {
      let grad = partial_sum(first, chunks, WORKGROUP_SIZE, 2.0);
      row.grad_norm = norm_value(grad.norm, 2.0);
      row.max_grad = grad.max;
      row.non_finite = grad.count;
    }
    let pair = pair_sum(region + first, chunks, WORKGROUP_SIZE);
    row.param_norm = norm_value(norm_from(pair.xy), 2.0);
    row.update_norm = norm_value(norm_from(pair.zw), 2.0);
    if (CLIP_VALUE) { row.clipped_norm = norm_value(partial_sum(2u * region + first, chunks, WORKGROUP_SIZE, 2.0).norm, 2.0); }
    figures.tensors[k] = row;
  }
  if (lane == 0u) {
    figures.step = header.step;
    figures.skip = control.skip;
    figures.skipped = control.skipped;
    figures.clip = control.clip;
    figures.loss_scale = control.loss_scale;
  }
}

fn norm_from(bits: vec2u) -> Norm {
  return Norm(bitcast<f32>(bits.x), bitcast<i32>(bits.y));
}

// As partial_sum, for the pairs of norms (theta, delta).
fn pair_sum(first: u32, count: u32, stride: u32) -> vec4u {
  var theta = NORM_ZERO;
  var delta = NORM_ZERO;
  for (var begin = 0u; begin < count; begin += 32u) {
    var inner_theta = NORM_ZERO;
    var inner_delta = NORM_ZERO;
    for (var i = begin; i < min(begin + 32u, count); i++) {
      let bits = partials[first + i * stride];
      inner_theta = norm_join(inner_theta, norm_from(bits.xy), 2.0);
      inner_delta = norm_join(inner_delta, norm_from(bits.zw), 2.0);
    }
    theta = norm_join(theta, inner_theta, 2.0);
    delta = norm_join(delta, inner_delta, 2.0);
  }
  return vec4u(bitcast<u32>(theta.sum), bitcast<u32>(theta.exponent), bitcast<u32>(delta.sum), bitcast<u32>(delta.exponent));
}
