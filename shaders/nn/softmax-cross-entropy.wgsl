// Softmax and cross-entropy, forward and backward at once. One invocation makes one row (sample) of CLASSES logits z with label c:
//   p = exp(z - max z) / sum exp(z - max z),  loss = -log p_c,  dz = (p - onehot(c)) / count
// so that dz is the gradient of the mean over the batch. Rows behind the batch get dz = 0 and take no part in anything
// that follows; so does what lies behind the last class. Layouts as in linear-forward.wgsl.

#import nn/lib/batch
#import nn/lib/row-outcome

override WORKGROUP_SIZE: u32 = 64;
override ROWS: u32;
override CLASSES: u32;
override QUADS = (CLASSES + 3u) / 4u;

@group(0) @binding(0) var<uniform> batch: Batch;
@group(0) @binding(1) var<storage, read> logits: array<vec4f>;                 // z [ROWS, QUADS]
@group(0) @binding(2) var<storage, read> labels: array<u32>;                   // c [ROWS]
@group(0) @binding(3) var<storage, read_write> logits_gradient: array<vec4f>;  // dz [ROWS, QUADS]
@group(0) @binding(4) var<storage, read_write> outcomes: array<RowOutcome>;    // [ROWS]

@compute @workgroup_size(WORKGROUP_SIZE)
fn softmax_cross_entropy(@builtin(global_invocation_id) id: vec3u) {
  let row = id.x;
  if (row >= ROWS) { return; }
  let begin = row * QUADS;
  if (row >= batch.count) {
    for (var q = 0u; q < QUADS; q++) { logits_gradient[begin + q] = vec4f(); }
    outcomes[row] = RowOutcome(0.0, CLASSES);
    return;
  }

  var largest = logits[begin].x;
  var predicted = 0u;                       // the first of equal logits
  for (var c = 1u; c < CLASSES; c++) {
    let z = logits[begin + c / 4u][c & 3u];
    if (z > largest) {
      largest = z;
      predicted = c;
    }
  }
  var sum = 0.0;
  for (var q = 0u; q < QUADS; q++) {
    let e = exponentials(begin, q, largest);
    sum += (e.x + e.y) + (e.z + e.w);
  }
  let label = labels[row];
  for (var q = 0u; q < QUADS; q++) {
    let onehot = select(vec4f(), vec4f(1.0), classes(q) == vec4u(label));
    logits_gradient[begin + q] = (exponentials(begin, q, largest) / sum - onehot) / f32(batch.count);
  }
  // log(sum) + max - z_c: no division and no log of a probability that has become 0.
  outcomes[row] = RowOutcome(log(sum) + (largest - logits[begin + label / 4u][label & 3u]), predicted);
}

fn classes(quad: u32) -> vec4u {
  return vec4u(4u * quad) + vec4u(0u, 1u, 2u, 3u);
}

fn exponentials(begin: u32, quad: u32, largest: f32) -> vec4f {
  return select(vec4f(), exp(logits[begin + quad] - largest), classes(quad) < vec4u(CLASSES));
}
