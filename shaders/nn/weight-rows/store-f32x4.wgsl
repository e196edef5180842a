// Rows of weight gradients whose length is a multiple of 4, written a quad at a time. Depends on `weight_gradient`, IN_QUADS and
// ACCUMULATE.
alias WeightElement = vec4f;

fn store_weight_quad(row: u32, quad: u32, value: vec4f) {
  let at = row * IN_QUADS + quad;
  var sum = value;
  if (ACCUMULATE) { sum += weight_gradient[at]; }
  weight_gradient[at] = sum;
}
