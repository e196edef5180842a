// Rows of weight gradients whose length is a multiple of 4, written a quad at a time. Depends on `weight_gradient` and IN_QUADS.
alias WeightElement = vec4f;

fn store_weight_quad(row: u32, quad: u32, value: vec4f) {
  weight_gradient[row * IN_QUADS + quad] = value;
}
