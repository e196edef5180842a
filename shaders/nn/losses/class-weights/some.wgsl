// Classes have weights; every workgroup sums up those of the batch on its own. Depends on `labels` and WORKGROUP_SIZE.
#import nn/lib/sum-of-all

@group(0) @binding(5) var<storage, read> class_weights: array<f32>;            // w [CLASSES]

fn class_weight(c: u32) -> f32 {
  return class_weights[c];
}

fn total_weight(tokens: u32, lane: u32) -> f32 {
  var sum = 0.0;
  for (var i = lane; i < tokens; i += WORKGROUP_SIZE) { sum += class_weights[labels[i]]; }
  return sum_of_all(lane, sum);
}
