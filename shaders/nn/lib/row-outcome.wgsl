// What softmax-cross-entropy.wgsl says about one row.
struct RowOutcome {
  loss: f32,          // in nats
  predicted: u32,     // class of the largest logit
}
