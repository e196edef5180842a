// What the gradient of a convolution's weights is made from: each invocation sums its tile of them over a share of the rows
// (samples). Linked in: what x is (source/).

#import nn/lib/flat-index

override ROWS: u32;
override SHARES: u32;
override SHARE_ROWS: u32;                             // rows of a share
override GROUPS: u32;
override SOURCE_CHANNELS: u32;                        // of a group
override SOURCE_HEIGHT: u32;
override SOURCE_WIDTH: u32;
override SOURCE_STRIDE: u32;                          // floats of a row
override OUT_CHANNELS: u32;                           // of a group
override OUT_HEIGHT: u32;
override OUT_WIDTH: u32;
override OUT_STRIDE: u32;
override PAD_Y: i32;
override PAD_X: i32;
override WEIGHTS: u32;
override SOURCE_PLANE = SOURCE_HEIGHT * SOURCE_WIDTH;
override OUT_PLANE = OUT_HEIGHT * OUT_WIDTH;

// binding 0: source/, x [ROWS, SOURCE_STRIDE]
@group(0) @binding(1) var<storage, read> output_gradient: array<f32>;          // dy [ROWS, OUT_STRIDE]
@group(0) @binding(2) var<storage, read_write> sums: array<f32>;               // [SHARES, dW and then db]

#import source

// `count`, having asked for the lengths of what loops read: see nn/lib/flat-index.
fn bounded(count: u32) -> u32 {
  return bounded_by(count, max(arrayLength(&source), arrayLength(&output_gradient)));
}
