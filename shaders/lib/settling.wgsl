// What is known of a tensor (or, for `settle_all`, of all tensors of a rule) when its rule settles on its numbers.
struct Settling {
  sums: vec2f,          // of `prepare`; 0 without
  size: f32,            // elements
  lambda: f32,          // weight decay as the user gave it, in whatever mode
  rule_decay: f32,      // lambda in decay mode `rule`, else 0
  first: bool,          // this is the tensor's first update
  numbers: vec4f,       // the numbers it has had so far, 0 at first
}
