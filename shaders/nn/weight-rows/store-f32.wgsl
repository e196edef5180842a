// Rows of weight gradients of any length: a row may begin between two quads. Depends on `weight_gradient`, IN and ACCUMULATE.
alias WeightElement = f32;

fn store_weight_quad(row: u32, quad: u32, value: vec4f) {
  for (var i = 0u; i < min(4u, IN - 4u * quad); i++) {
    let at = row * IN + 4u * quad + i;
    var sum = value[i];
    if (ACCUMULATE) { sum += weight_gradient[at]; }
    weight_gradient[at] = sum;
  }
}
