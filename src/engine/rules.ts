/**
 * The table of rules. One row per optimizer: its WGSL file, its state, and its options as numbers. A row that is not imported
 * is not in the bundle.
 */
export * from "./rules/adafactor.ts";
export * from "./rules/adam.ts";
export * from "./rules/adaptive.ts";
export * from "./rules/adopt.ts";
export * from "./rules/asgd.ts";
export * from "./rules/laprop.ts";
export * from "./rules/layerwise.ts";
export * from "./rules/madgrad.ts";
export * from "./rules/momenta.ts";
export * from "./rules/muon.ts";
export * from "./rules/nadam.ts";
export * from "./rules/prodigy.ts";
export * from "./rules/rectified.ts";
export * from "./rules/schedule-free.ts";
export * from "./rules/sgd.ts";
export * from "./rules/sign.ts";
export * from "./rules/sophiag.ts";
