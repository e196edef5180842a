// What the host tells a step, and what the device keeps between steps. Structures only: no bindings, no entry points.
// Each has its twin in src/kernels/layouts.ts; test/cpu/layouts.test.ts compares the two field by field.

// One step. Bound with a dynamic offset, so that several steps can be encoded into one submission.
struct Header {
  step: u32,            // number of this step as the host counts, 1 for the first, skipped steps included
  record_mask: u32,     // rows of the record ring minus 1; the number of rows is a power of two
  group_count: u32,
  tensor_count: u32,
  chunk_count: u32,
  unscale: f32,         // 1 / (static loss scale * micro-batches): what every raw gradient is multiplied by
  max_global_norm: f32, // 0: no clipping by global norm
  max_tensor_norm: f32, // 0: no clipping by per-tensor norm
  skip_non_finite: u32, // 1: a non-finite gradient skips the step
  clip_eps: f32,        // added to a norm before a limit is divided by it
  unit_factor: f32,     // of adaptive clipping: how long a unit's gradient may be, in lengths of its parameters
  unit_eps: f32,        // the least that such a length counts as
}

// The part of the chunks that one dispatch covers. A window ends where a binding would exceed the device's limit.
struct Window {
  chunk_begin: u32,
  chunk_end: u32,
  state_stride: u32,    // distance of two state slots, in packed elements
}

// What has been decided for one tensor on the device.
struct TensorControl {
  skipped: u32,         // steps that were skipped while this tensor had a gradient
  factor: f32,          // what a raw gradient is multiplied by: loss scale and clipping; unscale alone where nothing is measured
  grad_norm: f32,       // norm of the finite raw gradients of this step, in the type that clipping uses
  max_grad: f32,        // largest finite |raw gradient|
  non_finite: u32,      // number of non-finite gradients; bit 31: a NaN is among them
  bad_steps: u32,       // steps so far in which this tensor had a non-finite gradient
  size: u32,            // its elements
  rule: u32,            // which of the optimizer's rules it follows
  extra: u32,           // where the state begins that is not one number per element, in elements of the window's state
  rows: u32,            // of a tensor whose second moments are factored, seen as [outer, rows, cols, inner]; else 0
  cols: u32,
  inner: u32,
  units: u32,           // where the factors of its units lie, like extra, with adaptive clipping
  unit_size: u32,       // elements of a unit
  rounding: u32,        // key of the hash by which parameters of 16 bits are rounded
  cautious: f32,        // what a masked update is multiplied by, with cautious updates
  n0: f32,              // the rule's numbers for this tensor; what they are, `settle_rule` says
  n1: f32,
  n2: f32,
  n3: f32,
}

// What has been decided for the whole step on the device; it outlives the step.
struct Control {
  step: u32,            // the newest step that has been decided, as the header counts
  skip: u32,            // 1: this step is skipped
  skipped: u32,         // steps skipped so far
  loss_scale: f32,      // dynamic loss scale used in this step; 1 without
  clip: f32,            // factor of clipping by global norm; 1 without
  s0: f32,              // a rule's numbers for all its tensors; what they are, `settle_all` says
  s1: f32,
  s2: f32,
  s3: f32,
  tensors: array<TensorControl>,
}

// Rows of the table: first one per tensor (and one sentinel), then one per chunk.
//   tensor: x = group, y = lag (host steps in which its count did not advance), z = 1 if it takes part, w = its first chunk
//   chunk:  x = tensor, y = first packed element in its window, z = number of packed elements, w = its first element in the tensor

// Number of this update if it is applied: 1 for the first. Rows of the record ring are addressed by it.
fn applied_step(step: u32, skipped: u32) -> u32 {
  return step - skipped;
}

// An invocation's sums are folded after so many elements: a chunk has up to 1024 of its elements, and the rounding of so long a
// sum (1e-5 where all addends are equal) would show in a norm.
const FOLD_EVERY = 32u;

// `count`, whatever `length` is. WGSL holds every index against the length of its buffer, and a software adapter computes that with four
// divisions. Lengths that are asked for before a loop are not computed again in it: 1.35 times the floor became 1.05 (Signum).
fn bounded(count: u32, length: u32) -> u32 {
  return min(count, max(count, length));
}
