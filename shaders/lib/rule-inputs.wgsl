// What a rule may read besides the arguments of its functions, set once per chunk; and what its other functions take and give.

var<private> own_count: u32;           // updates of the tensor, this one included
var<private> tensor_numbers: vec4f;   // what `settle_rule` has given for this tensor
var<private> shared_numbers: vec4f;   // what `settle_all` has given for all tensors of the rule
var<private> rule_decay: f32;         // lambda in decay mode `rule`, else 0
var<private> first_decay: f32;        // the fraction that decay takes away before the update, in the modes where it does
var<private> cautious_scale: f32;     // of cautious updates
var<private> factored: Factored;      // how the tensor's second moments are factored
var<private> units: vec2u;            // x: where the factors of adaptive clipping lie, y: elements of a unit
var<private> chunk_begin: u32;        // first packed element of the chunk in its window
var<private> chunk_element: u32;      // the same as an element of its tensor

// A tensor seen as [outer, rows, cols, inner], and where its state lies that is not one number per element: means over the columns
// [outer, rows, inner] and over the rows [outer, cols, inner].
struct Factored {
  extra: u32,
  size: u32,            // elements of the tensor
  rows: u32,            // 0: it is not factored
  cols: u32,
  inner: u32,
}

// What an element adds to the two sums that `prepare` makes of every tensor. Padding must add nothing: 0 where theta and g are 0.
struct Prepared {
  a: Lane,
  b: Lane,
}

// What is known of a tensor (or, for `settle_all`, of all tensors of a rule) when its rule settles on its numbers.
struct Settling {
  sums: vec2f,          // of `prepare`; 0 without
  size: f32,            // elements
  lambda: f32,          // weight decay as the user gave it, in whatever mode
  rule_decay: f32,      // lambda in decay mode `rule`, else 0
  first_decay: f32,     // the fraction that decay takes away before the update, in the modes where it does
  first: bool,          // this is the tensor's first update
  numbers: vec4f,       // the numbers it has had so far, 0 at first
}
