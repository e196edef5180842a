// Classes have weights. Depends on `labels`.
@group(0) @binding(5) var<storage, read> class_weights: array<f32>;            // w [CLASSES]

fn class_weight(c: u32) -> f32 {
  return class_weights[c];
}

fn total_weight(tokens: u32) -> f32 {
  var sum = 0.0;
  for (var i = 0u; i < tokens; i++) { sum += class_weights[labels[i]]; }
  return sum;
}
