// Which samples a training or evaluation step takes; the host writes it before each step.
struct Batch {
  first: u32,     // position of the batch's first sample in the order
  count: u32,     // samples in this batch, at most ROWS; the rows behind them take no part
  slot: u32,      // which batch record the step's loss goes to
  padding: u32,
}
