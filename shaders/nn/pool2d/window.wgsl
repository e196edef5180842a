// The part of a window that lies in the plane: lines top to bottom, columns left to right, the ends not included.
struct Window {
  top: u32,
  bottom: u32,
  left: u32,
  right: u32,
}

fn window_of(v: u32, u: u32) -> Window {
  let y = v * STRIDE_Y;
  let x = u * STRIDE_X;
  return Window(
    max(y, PAD_Y) - PAD_Y, min(y + KERNEL_Y, IN_HEIGHT + PAD_Y) - PAD_Y,
    max(x, PAD_X) - PAD_X, min(x + KERNEL_X, IN_WIDTH + PAD_X) - PAD_X);
}
