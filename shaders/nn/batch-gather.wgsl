// Copies one batch out of a data set of bytes that stays on the GPU. One invocation copies 4 neighbouring features of one row:
//   input[r] = sample[order[first + r]]
// The bytes stay bytes; input-rows/bytes.wgsl makes numbers of them. Rows behind the batch become 0.

#import nn/lib/batch

override WORKGROUP_SIZE: u32 = 64;
override ROWS: u32;                                   // capacity of a batch
override QUADS: u32;                                  // words of a sample

@group(0) @binding(0) var<uniform> batch: Batch;
@group(0) @binding(1) var<storage, read> samples: array<u32>;                  // [samples, QUADS], 4 bytes a word
@group(0) @binding(2) var<storage, read> classes: array<u32>;                  // [samples]
@group(0) @binding(3) var<storage, read> order: array<u32>;                    // [samples], index of a sample
@group(0) @binding(4) var<storage, read_write> input: array<u32>;              // [ROWS, QUADS]
@group(0) @binding(5) var<storage, read_write> labels: array<u32>;             // [ROWS]

@compute @workgroup_size(WORKGROUP_SIZE)
fn batch_gather(@builtin(global_invocation_id) id: vec3u) {
  let quad = id.x;
  let row = id.y;
  if (quad >= QUADS || row >= ROWS) { return; }
  var word = 0u;
  var label = 0u;
  if (row < batch.count) {
    let sample = order[batch.first + row];
    label = classes[sample];
    word = samples[sample * QUADS + quad];
  }
  input[row * QUADS + quad] = word;
  if (quad == 0u) { labels[row] = label; }
}
