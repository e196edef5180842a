// Gives the times of samples rows of their own, or brings them back into the rows of their samples, where their width is no whole
// number of quads. One invocation makes one float of the result; 0 behind the last of a row.
//   APART: moved[r TIMES + t, i] = source[r, t FEATURES + i];   else  moved[r, t FEATURES + i] = source[r TIMES + t, i]

#import nn/lib/flat-index

override ROWS: u32;                                   // of samples
override TIMES: u32;
override FEATURES: u32;                               // of a time
override APART: bool;
override TIME_STRIDE = (FEATURES + 3u) / 4u * 4u;                 // floats of the row of a time
override SAMPLE_STRIDE = (TIMES * FEATURES + 3u) / 4u * 4u;       // floats of the row of a sample

@group(0) @binding(0) var<storage, read> source: array<f32>;                   // [ROWS, SAMPLE_STRIDE] if APART, else the other
@group(0) @binding(1) var<storage, read_write> moved: array<f32>;              // [ROWS TIMES, TIME_STRIDE] if APART, else the other

@compute @workgroup_size(WORKGROUP_SIZE)
fn move_times(@builtin(global_invocation_id) id: vec3u) {
  let at = flat_index(id);
  let stride = select(SAMPLE_STRIDE, TIME_STRIDE, APART);
  let row = at / stride;
  if (row >= select(ROWS, ROWS * TIMES, APART)) { return; }
  let i = at % stride;
  if (APART) {
    let origin = row / TIMES * SAMPLE_STRIDE + row % TIMES * FEATURES + min(i, FEATURES - 1u);
    moved[at] = select(0.0, source[origin], i < FEATURES);
  } else {
    let feature = min(i, TIMES * FEATURES - 1u);
    let origin = (row * TIMES + feature / FEATURES) * TIME_STRIDE + feature % FEATURES;
    moved[at] = select(0.0, source[origin], i < TIMES * FEATURES);
  }
}
