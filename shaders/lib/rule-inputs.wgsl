// What a rule may read besides the arguments of its functions. Set once per chunk.

var<private> tensor_numbers: vec4f;   // what `settle_rule` has given for this tensor
var<private> shared_numbers: vec4f;   // what `settle_all` has given for all tensors of the rule
var<private> rule_decay: f32;         // lambda in decay mode `rule`, else 0
var<private> shell_shrink: f32;       // the shell subtracts shell_shrink u + shell_decay theta, but for modifiers of decay
var<private> shell_decay: f32;
var<private> cautious_scale: f32;     // of cautious updates
var<private> chunk_begin: u32;        // first packed element of the chunk in its window
var<private> chunk_element: u32;      // the same as an element of its tensor
