/** webgpu-optim/jax: fused optimizers for `@jax-js/jax`, in the shape of optax. */

export { type Controls, type FusedOptions, FusedState, type FusedTransformation, fused } from "./fused.ts";
export { type Gradients, named } from "./leaves.ts";
