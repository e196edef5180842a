// Stage 2b, adaptive gradient clipping: how much of each unit's gradient is left. A unit is what one output of a layer has, a row of a
// tensor's first dimension; a vector is one unit. After unscaling and clipping by norm,
//   r = min(1, factor max(norm(theta_unit), eps) / norm(g_unit))
// One invocation makes the factors of a lane of units; the chunks of a tensor share them.
// Source: Brock et al. (2021), arXiv:2102.06171.

#import lib/records
#import storage
#import params
#import grads
#import state

override WORKGROUP_SIZE: u32 = 64;

@group(0) @binding(0) var<uniform> header: Header;
@group(0) @binding(1) var<uniform> window: Window;
@group(0) @binding(2) var<storage, read> table: array<vec4u>;                  // tensor rows, then chunk rows
@group(0) @binding(3) var<storage, read> control: Control;
@group(0) @binding(4) var<storage, read_write> params: array<ParamWord>;       // of this window; only read
@group(0) @binding(5) var<storage, read_write> grads: array<GradWord>;         // only read; read_write so that it may share a buffer with params
@group(0) @binding(6) var<storage, read_write> state: array<StateWord>;        // of this window: behind the slots, factors of units

@compute @workgroup_size(WORKGROUP_SIZE)
fn clip_units(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u,
              @builtin(local_invocation_index) lane: u32) {
  for (var c = window.chunk_begin + workgroup.x; c < window.chunk_end; c += workgroups.x) {
    let chunk = table[header.tensor_count + 1u + c];
    let tensor = table[chunk.x];
    if (tensor.z == 0u || control.skip != 0u) { continue; }
    let begin = chunk.y - chunk.w / LANES;      // of the tensor in its window
    let size = control.tensors[chunk.x].unit_size;
    let units = control.tensors[chunk.x].size / size;
    let lanes = (units + LANES - 1u) / LANES;
    let chunks = table[chunk.x + 1u].w - tensor.w;
    let share = (lanes + chunks - 1u) / chunks;
    let first = (c - tensor.w) * share;
    for (var q = first + lane; q < min(first + share, lanes); q += WORKGROUP_SIZE) {
      var factors = Lane(1.0);
      for (var i = 0u; i < LANES; i++) {
        let unit = q * LANES + i;
        if (unit < units) { factors = lane_set(factors, i, factor_of(begin, unit * size, size, control.tensors[chunk.x].factor)); }
      }
      store_numbers(control.tensors[chunk.x].units + q * LANES, factors);
    }
  }
}

// In blocks of 32, so that the rounding of a long sum stays small.
fn factor_of(begin: u32, first: u32, size: u32, unscale: f32) -> f32 {
  let count = bounded(size, max(arrayLength(&params), arrayLength(&grads)));
  var sums = vec2f(0.0);
  for (var block = 0u; block < count; block += 32u) {
    var inner = vec2f(0.0);
    for (var m = first + block; m < first + min(block + 32u, count); m++) {
      let theta = lane_get(load_param(begin + m / LANES), m % LANES);
      let g = lane_get(load_grad(begin + m / LANES), m % LANES) * unscale;
      inner += vec2f(theta * theta, g * g);
    }
    sums += inner;
  }
  let longest = header.unit_factor * max(sqrt(sums.x), header.unit_eps);
  return min(1.0, longest / max(sqrt(sums.y), 1e-6));
}
