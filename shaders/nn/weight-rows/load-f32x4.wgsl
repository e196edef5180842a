// Rows of weights whose length is a multiple of 4, read a quad at a time. Depends on `weight` and IN_QUADS.
alias WeightElement = vec4f;

// Where a row begins, for weight_quad.
fn weight_row(row: u32) -> u32 {
  return row * IN_QUADS;
}

fn weight_quad(begin: u32, quad: u32) -> vec4f {
  return weight[begin + quad];
}
