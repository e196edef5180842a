/**
 * Twins of the structures in `shaders/lib`. Every field is four bytes wide, so a field's offset is its place in the list;
 * `test/cpu/layouts.test.ts` compares names, types and offsets with what the shader compiler sees.
 */

export type FieldType = "f32" | "u32";
export type Layout = readonly (readonly [name: string, type: FieldType])[];

/** `struct Header` of `shaders/lib/records.wgsl`. */
export const HEADER = [
  ["step", "u32"],
  ["record_mask", "u32"],
  ["group_count", "u32"],
  ["tensor_count", "u32"],
  ["chunk_count", "u32"],
  ["unscale", "f32"],
  ["max_global_norm", "f32"],
  ["max_tensor_norm", "f32"],
  ["skip_non_finite", "u32"],
  ["clip_eps", "f32"],
  ["unit_factor", "f32"],
  ["unit_eps", "f32"],
] as const satisfies Layout;

/** `struct Window` of `shaders/lib/records.wgsl`. */
export const WINDOW = [
  ["chunk_begin", "u32"],
  ["chunk_end", "u32"],
  ["state_stride", "u32"],
] as const satisfies Layout;

/** `struct TensorControl` of `shaders/lib/records.wgsl`. */
export const TENSOR_CONTROL = [
  ["skipped", "u32"],
  ["factor", "f32"],
  ["grad_norm", "f32"],
  ["max_grad", "f32"],
  ["non_finite", "u32"],
  ["bad_steps", "u32"],
  ["size", "u32"],
  ["rule", "u32"],
  ["extra", "u32"],
  ["rows", "u32"],
  ["cols", "u32"],
  ["inner", "u32"],
  ["units", "u32"],
  ["unit_size", "u32"],
  ["rounding", "u32"],
  ["cautious", "f32"],
  ["n0", "f32"],
  ["n1", "f32"],
  ["n2", "f32"],
  ["n3", "f32"],
] as const satisfies Layout;

/** `struct Control` of `shaders/lib/records.wgsl` before its array of `TensorControl`. */
export const CONTROL = [
  ["step", "u32"],
  ["skip", "u32"],
  ["skipped", "u32"],
  ["loss_scale", "f32"],
  ["clip", "f32"],
  ["s0", "f32"],
  ["s1", "f32"],
  ["s2", "f32"],
  ["s3", "f32"],
] as const satisfies Layout;

/** Names of a rule's numbers, for one tensor and for all of them. */
export const TENSOR_NUMBERS = ["n0", "n1", "n2", "n3"] as const;
export const SHARED_NUMBERS = ["s0", "s1", "s2", "s3"] as const;

/** `struct GroupRecord` of `shaders/lib/group-record.wgsl` before the rule's `Hyper`. */
export const GROUP_RECORD = [
  ["lr", "f32"],
  ["grad_scale", "f32"],
  ["coupled", "f32"],
  ["shrink", "f32"],
  ["decay", "f32"],
  ["l1", "f32"],
  ["clip_value", "f32"],
  ["modifiers", "u32"],
  ["lambda", "f32"],
  ["rule_decay", "f32"],
  ["cautious_factor", "f32"],
  ["lookahead", "f32"],
  ["average", "f32"],
  ["first_step_row", "u32"],
  ["last_step_row", "u32"],
] as const satisfies Layout;

/** Bits of `GroupRecord.modifiers`, as the constants of `shaders/lib/group-record.wgsl`. */
export const MODIFIER = {
  cautious: 1,
  toward: 2,
  l1Coupled: 4,
  l1Proximal: 8,
  cautiousUpdate: 16,
  cautiousCOptim: 32,
  cautiousLucidrains: 64,
} as const;

/** `struct LossScale` of `shaders/lib/loss-scale.wgsl`. */
export const LOSS_SCALE = [
  ["scale", "f32"],
  ["growth_factor", "f32"],
  ["backoff_factor", "f32"],
  ["growth_interval", "u32"],
  ["growth_tracker", "u32"],
  ["found_non_finite", "u32"],
] as const satisfies Layout;

/** `struct Figures` of `shaders/summarize.wgsl` before its array of `TensorFigures`. */
export const FIGURES = [
  ["step", "u32"],
  ["skip", "u32"],
  ["skipped", "u32"],
  ["clip", "f32"],
  ["loss_scale", "f32"],
] as const satisfies Layout;

/** `struct TensorFigures` of `shaders/summarize.wgsl`. */
export const TENSOR_FIGURES = [
  ["grad_norm", "f32"],
  ["clipped_norm", "f32"],
  ["param_norm", "f32"],
  ["update_norm", "f32"],
  ["max_grad", "f32"],
  ["non_finite", "u32"],
  ["factor", "f32"],
  ["bad_steps", "u32"],
] as const satisfies Layout;

/** Names of a layout's fields. */
export type FieldName<L extends Layout> = L[number][0];

/** The same 32-bit words seen as floats and as unsigned integers. */
export class Words {
  readonly f32: Float32Array<ArrayBuffer>;
  readonly u32: Uint32Array<ArrayBuffer>;

  constructor(source: number | ArrayBuffer) {
    const buffer = typeof source === "number" ? new ArrayBuffer(source * 4) : source;
    this.f32 = new Float32Array(buffer);
    this.u32 = new Uint32Array(buffer);
  }

  /** Writes the named fields of a structure that begins at word `at`. */
  write<L extends Layout>(layout: L, at: number, values: Readonly<Partial<Record<FieldName<L>, number>>>): void {
    layout.forEach(([name, type], i) => {
      const value = values[name as FieldName<L>];
      if (value !== undefined) this[type][at + i] = value;
    });
  }

  /** Reads every field of a structure that begins at word `at`. */
  read<L extends Layout>(layout: L, at: number): Record<FieldName<L>, number> {
    return Object.fromEntries(layout.map(([name, type], i) => [name, this[type][at + i]])) as Record<
      FieldName<L>,
      number
    >;
  }
}
