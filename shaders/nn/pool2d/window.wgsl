// Sizes of a pooling, and which windows meet which pixels.

#import nn/lib/flat-index

override ROWS: u32;
override CHANNELS: u32;
override IN_HEIGHT: u32;
override IN_WIDTH: u32;
override IN_STRIDE: u32;                              // floats of a row (sample)
override OUT_HEIGHT: u32;
override OUT_WIDTH: u32;
override OUT_STRIDE: u32;
override KERNEL_Y: u32;
override KERNEL_X: u32;
override STRIDE_Y: u32;
override STRIDE_X: u32;
override PAD_Y: u32;
override PAD_X: u32;

// Lines top to bottom, columns left to right, the ends not included.
struct Window {
  top: u32,
  bottom: u32,
  left: u32,
  right: u32,
}

// The part of a window that lies in the plane.
fn window_of(v: u32, u: u32) -> Window {
  let y = v * STRIDE_Y;
  let x = u * STRIDE_X;
  return Window(
    max(y, PAD_Y) - PAD_Y, min(y + KERNEL_Y, IN_HEIGHT + PAD_Y) - PAD_Y,
    max(x, PAD_X) - PAD_X, min(x + KERNEL_X, IN_WIDTH + PAD_X) - PAD_X);
}

// The windows that contain a pixel: from the first that has not ended to the last that has begun.
fn windows_with(line: u32, column: u32) -> Window {
  let y = line + PAD_Y;
  let x = column + PAD_X;
  return Window(
    (max(y + STRIDE_Y, KERNEL_Y) - KERNEL_Y) / STRIDE_Y, min(y / STRIDE_Y + 1u, OUT_HEIGHT),
    (max(x + STRIDE_X, KERNEL_X) - KERNEL_X) / STRIDE_X, min(x / STRIDE_X + 1u, OUT_WIDTH));
}
