// Copies one batch out of a data set that lies on the GPU. One invocation copies one word of one row, of the input or the target:
//   input[r] = sample[order[first + r]],   target[r] likewise
// Words stay as they are (floats, tokens, classes, 4 bytes of an input); where the targets are bytes but floats are wanted,
//   target[r, i] = TARGET_SCALE byte / 255 + TARGET_SHIFT.
// Rows behind the batch become 0.

#import nn/lib/batch

override WORKGROUP_SIZE: u32 = 64;
override ROWS: u32;                   // capacity of a batch
override INPUT_WORDS: u32;            // words of a row of the input; 0: it is made elsewhere
override TARGET_WORDS: u32;           // words of a row of the target
override TARGET_FEATURES: u32;        // of these; what is behind them is 0
override TARGET_BYTES: bool;
override TARGET_SCALE: f32 = 1.0;
override TARGET_SHIFT: f32 = 0.0;

@group(0) @binding(0) var<uniform> batch: Batch;
@group(0) @binding(1) var<storage, read> samples: array<u32>;          // [samples, INPUT_WORDS]
@group(0) @binding(2) var<storage, read> targets: array<u32>;          // [samples, TARGET_WORDS], of bytes a quarter of that
@group(0) @binding(3) var<storage, read> order: array<u32>;            // index of a sample, by position
@group(0) @binding(4) var<storage, read_write> input: array<u32>;      // [ROWS, INPUT_WORDS]
@group(0) @binding(5) var<storage, read_write> target_rows: array<u32>;    // [ROWS, TARGET_WORDS]

@compute @workgroup_size(WORKGROUP_SIZE)
fn gather_rows(@builtin(global_invocation_id) id: vec3u) {
  let row = id.y;
  if (id.x >= INPUT_WORDS + TARGET_WORDS || row >= ROWS) { return; }
  let inside = row < batch.count;
  var sample = 0u;
  if (inside) { sample = order[batch.first + row]; }
  if (id.x < INPUT_WORDS) {
    var word = 0u;
    if (inside) { word = samples[sample * INPUT_WORDS + id.x]; }
    input[row * INPUT_WORDS + id.x] = word;
  } else {
    let at = id.x - INPUT_WORDS;
    var word = 0u;
    if (inside && at < TARGET_FEATURES) { word = target_word(sample, at); }
    target_rows[row * TARGET_WORDS + at] = word;
  }
}

fn target_word(sample: u32, at: u32) -> u32 {
  if (!TARGET_BYTES) { return targets[sample * TARGET_WORDS + at]; }
  let byte = extractBits(targets[sample * (TARGET_WORDS / 4u) + at / 4u], 8u * (at % 4u), 8u);
  return bitcast<u32>(f32(byte) / 255.0 * TARGET_SCALE + TARGET_SHIFT);
}
