// Stage 2, control. One workgroup turns the partials of `measure` into what the update needs, and nothing is read back:
//   tensor norm n_k = (sum over chunks)^(1/p),  global norm n = (sum over tensors)^(1/p)
//   global clip  c = min(1, max_global_norm / (n + eps)),  tensor clip c_k = min(1, max_tensor_norm / (c n_k + eps))
//   factor_k = unscale * c * c_k / loss_scale
// and decides whether the step is skipped, in which case the counts of the skipped steps grow and nothing else happens.
// The clip coefficient is that of torch.nn.utils.clip_grad_norm_, where eps is 1e-6.

#import lib/records
#import lib/norm
#import lib/reduce
#import lib/loss-scale

override WORKGROUP_SIZE: u32 = 64;
override NORM_P: f32 = 2.0;       // 0: the infinity norm
override LOSS_SCALE: u32 = 0;     // 0: none, 1: this step's alone (grows and backs off here), 2: shared by several optimizers

@group(0) @binding(0) var<uniform> header: Header;
@group(0) @binding(1) var<storage, read> table: array<vec4u>;                  // tensor rows, then chunk rows
@group(0) @binding(2) var<storage, read_write> control: Control;
@group(0) @binding(3) var<storage, read_write> partials: array<vec4u>;         // [chunk][invocation]; [chunk][0] holds its sum after
@group(0) @binding(4) var<storage, read_write> scaler: LossScale;

var<workgroup> wg_partials: array<vec4u, WORKGROUP_SIZE>;
var<workgroup> wg_clip: f32;      // factor of clipping by global norm
var<workgroup> wg_unscale: f32;   // what a raw gradient is multiplied by before clipping
var<workgroup> wg_skip: u32;

@compute @workgroup_size(WORKGROUP_SIZE)
fn decide(@builtin(local_invocation_index) lane: u32) {
  for (var c = lane; c < header.chunk_count; c += WORKGROUP_SIZE) {
    partials[c * WORKGROUP_SIZE] = partial_pack(partial_sum(c * WORKGROUP_SIZE, WORKGROUP_SIZE, 1u, NORM_P));
  }
  storageBarrier();

  var mine = PARTIAL_ZERO;
  for (var k = lane; k < header.tensor_count; k += WORKGROUP_SIZE) {
    let first = table[k].w;
    let sum = partial_sum(first * WORKGROUP_SIZE, table[k + 1u].w - first, WORKGROUP_SIZE, NORM_P);
    control.tensors[k].grad_norm = norm_of(sum);
    control.tensors[k].max_grad = sum.max;
    control.tensors[k].non_finite = sum.count;
    mine = partial_join(mine, sum, NORM_P);
  }
  wg_partials[lane] = partial_pack(mine);
  workgroupBarrier();

  if (lane == 0u) {
    var all = PARTIAL_ZERO;
    for (var i = 0u; i < WORKGROUP_SIZE; i++) { all = partial_join(all, partial_unpack(wg_partials[i]), NORM_P); }
    var unscale = header.unscale;
    control.loss_scale = 1.0;
    if (LOSS_SCALE > 0u) {
      control.loss_scale = scaler.scale;
      unscale /= scaler.scale;
      if (all.count != 0u) { scaler.found_non_finite = 1u; }
      if (LOSS_SCALE == 1u) { loss_scale_update(); }
    }
    wg_unscale = unscale;
    wg_clip = 1.0;
    if (header.max_global_norm > 0.0) { wg_clip = clip_factor(header.max_global_norm, norm_of(all) * unscale, all.count); }
    wg_skip = select(0u, header.skip_non_finite, all.count != 0u);
    control.step = header.step;
    control.clip = wg_clip;
    control.skip = wg_skip;
    control.skipped += wg_skip;
  }
  workgroupBarrier();

  for (var k = lane; k < header.tensor_count; k += WORKGROUP_SIZE) {
    var clip = wg_clip;
    if (header.max_tensor_norm > 0.0) {
      let clipped_norm = control.tensors[k].grad_norm * wg_unscale * wg_clip;
      clip *= clip_factor(header.max_tensor_norm, clipped_norm, control.tensors[k].non_finite);
    }
    control.tensors[k].factor = wg_unscale * clip;
    control.tensors[k].skipped += wg_skip & table[k].z;
    control.tensors[k].bad_steps += select(0u, 1u, control.tensors[k].non_finite != 0u);
  }
}

fn norm_of(sum: Partial) -> f32 {
  if (NORM_P > 0.0) { return norm_value(sum.norm, NORM_P); }
  return sum.max;
}

// min(1, max_norm / (norm + eps)); as in PyTorch 0 where the norm is infinite and NaN where it is NaN, by bits, not by arithmetic.
fn clip_factor(max_norm: f32, norm: f32, non_finite: u32) -> f32 {
  // Without eps a norm of zero divides by the smallest normal number.
  var bits = bitcast<u32>(min(1.0, max_norm / max(norm + header.clip_eps, 1.1754944e-38)));
  if (non_finite != 0u) { bits = select(0u, 0x7fc00000u, (non_finite & 0x80000000u) != 0u); }
  return bitcast<f32>(bits);
}
