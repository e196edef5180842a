// Dropout, forward or (on gradients) backward. One invocation makes 4 neighbouring features:
//   y = x / (1 - p) with probability 1 - p, else 0
// The choice is a hash of (seed, stream, step, element), so that the backward pass and a repeated run make the same one: no mask
// is kept. A feature is kept where its 32 random bits are at least p 2^32. Srivastava et al.: Dropout (2014).
// The hash is that of Wellons' "lowbias32" (hash-prospector), once for each of the four numbers.

#import nn/lib/flat-index

override ROWS: u32;
override FEATURES: u32;
override QUADS = (FEATURES + 3u) / 4u;
override STREAM: u32;                                 // another one for each layer
override KEEP_FROM: u32;                              // p 2^32
override SCALE: f32;                                  // 1 / (1 - p)

struct Random {
  seed: u32,
  step: u32,
}

@group(0) @binding(0) var<uniform> random: Random;                           // what the draws of this step are hashed from
@group(0) @binding(1) var<storage, read> input: array<vec4f>;                  // x [ROWS, QUADS]
@group(0) @binding(2) var<storage, read_write> output: array<vec4f>;           // y [ROWS, QUADS]

@compute @workgroup_size(WORKGROUP_SIZE)
fn dropout(@builtin(global_invocation_id) id: vec3u) {
  let at = flat_index(id);
  if (at >= ROWS * QUADS) { return; }
  let feature = vec4u(4u * (at % QUADS)) + vec4u(0u, 1u, 2u, 3u);
  let base = mixed(vec4u(mixed(vec4u(mixed(vec4u(random.seed)).x + STREAM)).x + random.step)).x;
  let kept = mixed(vec4u(base + at / QUADS * FEATURES) + feature) >= vec4u(KEEP_FROM);
  output[at] = select(vec4f(), SCALE * input[at], kept & (feature < vec4u(FEATURES)));
}

fn mixed(number: vec4u) -> vec4u {
  var x = number + 0x9e3779b9u;
  x = (x ^ (x >> vec4u(16u))) * 0x7feb352du;
  x = (x ^ (x >> vec4u(15u))) * 0x846ca68bu;
  return x ^ (x >> vec4u(16u));
}
