// Stage 1a, factor: second moments of matrices by row and by column, before `prepare`. A tensor is seen as [outer, rows, cols, inner];
//   R[o, i, k] <- beta R + (1 - beta) mean over j of s(g[o, i, j, k])
//   C[o, j, k] <- beta C + (1 - beta) mean over i of s(g[o, i, j, k])        s: `factor_square` of the rule
// The chunks of a tensor share these numbers; one invocation makes a lane of them at a time.

#import lib/records
#import storage
#import params
#import grads
#import lib/rule-inputs
#import rule
#import lib/group-record
#import lib/gradient
#import lib/chunk
#import state
#import decay

override WORKGROUP_SIZE: u32 = 64;

@group(0) @binding(0) var<uniform> header: Header;
@group(0) @binding(1) var<uniform> window: Window;
@group(0) @binding(2) var<storage, read> table: array<vec4u>;                  // tensor rows, then chunk rows
@group(0) @binding(3) var<storage, read> records: array<GroupRecord>;          // [update][group], a ring
@group(0) @binding(4) var<storage, read> step_rows: array<StepRow>;            // by a tensor's own step count, 1 first
@group(0) @binding(5) var<storage, read> control: Control;
@group(0) @binding(6) var<storage, read_write> params: array<ParamWord>;       // of this window; only read
@group(0) @binding(7) var<storage, read_write> grads: array<GradWord>;         // only read
@group(0) @binding(8) var<storage, read_write> state: array<StateWord>;        // of this window: behind the slots, R, C, B of each tensor
@group(0) @binding(9) var<storage, read_write> partials: array<vec4u>;         // not used

@compute @workgroup_size(WORKGROUP_SIZE)
fn factor(@builtin(workgroup_id) workgroup: vec3u, @builtin(num_workgroups) workgroups: vec3u,
          @builtin(local_invocation_index) lane: u32) {
  for (var c = window.chunk_begin + workgroup.x; c < window.chunk_end; c += workgroups.x) {
    let chunk = table[header.tensor_count + 1u + c];
    let tensor = table[chunk.x];
    if (tensor.z != 0u && control.skip == 0u) { factor_share(c, chunk, tensor, lane); }
  }
}

fn factor_share(c: u32, chunk: vec4u, tensor: vec4u, lane: u32) {
  let opened = open_chunk(chunk, tensor);
  if (factored.rows == 0u) { return; }
  let begin = chunk.y - chunk.w / LANES;      // of the tensor in its window
  let outer = factored.size / (factored.rows * factored.cols * factored.inner);
  let count = outer * (factored.rows + factored.cols) * factored.inner;
  let lanes = (count + LANES - 1u) / LANES;
  let chunks = table[chunk.x + 1u].w - tensor.w;
  let share = (lanes + chunks - 1u) / chunks;
  let first = (c - tensor.w) * share;
  for (var q = first + lane; q < min(first + share, lanes); q += WORKGROUP_SIZE) {
    var kept = load_extra_lane(q * LANES);
    for (var i = 0u; i < LANES; i++) {
      let entry = q * LANES + i;
      if (entry >= count) { break; }
      let toward = mean_of_squares(entry, begin, outer, opened);
      kept = lane_set(kept, i, factor_mean(lane_get(kept, i), toward, opened.step_row));
    }
    store_extra_lane(q * LANES, kept);
  }
}

// Over the columns for an entry of R, over the rows for one of C, which come after.
fn mean_of_squares(entry: u32, begin: u32, outer: u32, opened: Opened) -> f32 {
  let r = factored.rows;
  let c = factored.cols;
  let n = factored.inner;
  if (entry < outer * r * n) {
    return sum_of_squares(begin, (entry / n) * c * n + entry % n, n, c, opened) / f32(c);
  }
  let oj = (entry - outer * r * n) / n;
  return sum_of_squares(begin, ((oj / c) * r * c + oj % c) * n + entry % n, c * n, r, opened) / f32(r);
}

// In blocks of 32, so that the rounding of a long sum stays small.
fn sum_of_squares(begin: u32, first: u32, stride: u32, count: u32, opened: Opened) -> f32 {
  let group = opened.group;
  let end = bounded(count, max(arrayLength(&params), arrayLength(&grads)));
  var outer = 0.0;
  for (var block = 0u; block < end; block += 32u) {
    var inner = 0.0;
    for (var m = block; m < min(block + 32u, end); m++) {
      let e = first + m * stride;
      let at = begin + e / LANES;
      let raw = clipped_gradient(load_grad(at), at, opened.factor, group.clip_value);
      let g = decayed_gradient(at, load_param(at), raw * group.grad_scale, group);
      inner += factor_square(lane_get(g, e % LANES), group.hyper);
    }
    outer += inner;
  }
  return outer;
}
