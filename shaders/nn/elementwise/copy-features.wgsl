// Copies neighbouring features of every row: concatenation forward (into a part of the result) and backward (out of a part of
// its gradient). One invocation copies one feature, or clears one behind the last:
//   target[r, TARGET_OFFSET + i] = source[r, SOURCE_OFFSET + i],  added to what is there with ACCUMULATE

#import nn/lib/flat-index

override ROWS: u32;
override FEATURES: u32;
override SOURCE_OFFSET: u32;
override SOURCE_STRIDE: u32;                          // floats of a row
override TARGET_OFFSET: u32;
override TARGET_STRIDE: u32;
override PADDING: u32;                                // floats to clear behind the last feature copied
override ACCUMULATE: bool = false;

@group(0) @binding(0) var<storage, read> source: array<f32>;                   // [ROWS, SOURCE_STRIDE]
@group(0) @binding(1) var<storage, read_write> copied: array<f32>;             // target [ROWS, TARGET_STRIDE]

@compute @workgroup_size(WORKGROUP_SIZE)
fn copy_features(@builtin(global_invocation_id) id: vec3u) {
  let index = flat_index(id);
  let row = index / (FEATURES + PADDING);
  if (row >= ROWS) { return; }
  let i = index % (FEATURES + PADDING);
  let at = row * TARGET_STRIDE + TARGET_OFFSET + i;
  // Behind the last feature this reads what it does not use.
  let value = select(0.0, source[row * SOURCE_STRIDE + SOURCE_OFFSET + min(i, FEATURES - 1u)], i < FEATURES);
  copied[at] = select(value, copied[at] + value, ACCUMULATE & (i < FEATURES));
}
