// What losses say about one row, or one time of it.
struct RowOutcome {
  loss: f32,          // in nats
  predicted: u32,     // class of the largest logit
}
