// A ReLU follows: dy is the gradient of its output `masking` and becomes the gradient before it.
@group(0) @binding(8) var<storage, read> masking: array<Lane>;                 // [ROWS, STRIDE]

fn masked(gradient: Lane, at: u32) -> Lane {
  return select(gradient, Lane(), masking[at] <= Lane());
}
