// Everything one parameter group needs in one update: computed by the host in float64, rounded to float32 once, and kept in a
// ring of rows, one per coming update. Depends on the rule's `Hyper`; the twin is in src/kernels/layouts.ts.

struct GroupRecord {
  lr: f32,
  grad_scale: f32,      // -1 to maximize, else 1
  coupled: f32,         // lambda in g <- g + lambda (theta - anchor)
  shrink: f32,          // s in theta <- theta - (s u + d (theta - anchor)); 1 but for proximal decay
  decay: f32,           // d in the same
  l1: f32,              // kappa: how far theta is pulled toward its anchor at most; coupled: added to g with theta's sign
  clip_value: f32,      // gradients are clamped to +- this
  modifiers: u32,       // the bits below
  lambda: f32,          // weight decay as the user gave it
  rule_decay: f32,      // lambda where the rule itself decays (mode `rule`), else 0
  cautious_factor: f32, // what is left of an update against its gradient, with cautious updates; else 1
  lookahead: f32,       // alpha where this update ends a round of lookahead, else 0
  average: f32,         // weight of this update's parameters in their average; 0: none
  first_step_row: u32,  // where this group's rows of step_rows begin, minus 1: the row of count 1 is the first
  last_step_row: u32,   // from this count on all rows are equal
  hyper: Hyper,
}

// The fraction that decay takes away before the update. Proximal decay comes after the update; it shrinks that too.
fn first_decay_of(group: GroupRecord) -> f32 {
  return select(0.0, group.decay, group.shrink == 1.0);
}

const CAUTIOUS = 1u;    // decay only where u (theta - anchor) >= 0
const TOWARD = 2u;      // the anchor is the last state slot; else it is zero
const L1_COUPLED = 4u;  // l1 is part of the gradient
const L1_PROXIMAL = 8u; // l1 thresholds the result of the step
const CAUTIOUS_UPDATE = 16u;     // the update acts only where it has the sign of the gradient; timm's scale
const CAUTIOUS_C_OPTIM = 32u;    // the same with the scale of C-Optim
const CAUTIOUS_LUCIDRAINS = 64u; // the same with the scale of lucidrains
