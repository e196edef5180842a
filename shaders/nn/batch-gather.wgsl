// Copies one batch out of a data set of bytes that stays on the GPU. One invocation makes 4 neighbouring features of one row:
//   input[r][i] = SCALE * sample[order[first + r]][i] / 255 + SHIFT
// With SCALE = 1 / std and SHIFT = -mean / std the inputs are standardized. Rows behind the batch and features behind FEATURES
// become 0.

#import nn/lib/batch

override WORKGROUP_SIZE: u32 = 64;
override ROWS: u32;                                   // capacity of a batch
override FEATURES: u32;                               // bytes of a sample that count
override SCALE: f32 = 1.0;
override SHIFT: f32 = 0.0;
override QUADS = (FEATURES + 3u) / 4u;

@group(0) @binding(0) var<uniform> batch: Batch;
@group(0) @binding(1) var<storage, read> samples: array<u32>;                  // [samples, QUADS], 4 bytes a word
@group(0) @binding(2) var<storage, read> classes: array<u32>;                  // [samples]
@group(0) @binding(3) var<storage, read> order: array<u32>;                    // [samples], index of a sample
@group(0) @binding(4) var<storage, read_write> input: array<vec4f>;            // [ROWS, QUADS]
@group(0) @binding(5) var<storage, read_write> labels: array<u32>;             // [ROWS]

@compute @workgroup_size(WORKGROUP_SIZE)
fn batch_gather(@builtin(global_invocation_id) id: vec3u) {
  let quad = id.x;
  let row = id.y;
  if (quad >= QUADS || row >= ROWS) { return; }
  var value = vec4f();
  var label = 0u;
  if (row < batch.count) {
    let sample = order[batch.first + row];
    label = classes[sample];
    let counts = vec4u(4u * quad) + vec4u(0u, 1u, 2u, 3u) < vec4u(FEATURES);
    value = select(vec4f(), unpack4x8unorm(samples[sample * QUADS + quad]) * SCALE + SHIFT, counts);
  }
  input[row * QUADS + quad] = value;
  if (quad == 0u) { labels[row] = label; }
}
