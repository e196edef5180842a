// Rows of weights whose length is a multiple of 4, read a quad at a time. Depends on `weight` and IN_QUADS.
alias WeightElement = vec4f;

fn weight_quad(row: u32, quad: u32) -> vec4f {
  return weight[row * IN_QUADS + quad];
}
