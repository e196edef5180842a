/** What a step's stages are compiled from. Each kernel's file says what its own are; what options do not ask for is not even loaded. */
import type { Kernel } from "./kernel.ts";
import type { Storage } from "./storage.ts";
import type { WgslFile } from "./wgsl.ts";

/** What a dispatch is for. */
export type Variant =
  | "measure"
  | "control"
  | "clip units"
  | "factor"
  | "prepare"
  | "settle"
  | "update"
  | "evaluate"
  | "begin"
  | "update figures"
  | "summarize"
  | "accumulate first"
  | "accumulate";

/** Values of overrides, by name. */
export type Constants = Readonly<Record<string, number>>;

/** A kernel as it is to be compiled. */
export interface StageSpec {
  readonly variant: Variant;
  readonly kernel: Kernel;
  /** Absent for one that works on tables alone. */
  readonly storage?: Storage;
  /** Absent for one that is the same for all rules. */
  readonly rule?: number;
  readonly constants?: Constants;
  /** What it links, by role. */
  readonly files?: Readonly<Record<string, WgslFile>>;
}

/** One of the rules, as its kernels are compiled. */
export interface RuleVariant {
  readonly wgsl: WgslFile;
  /** Values of overrides: of what opens chunks and decays, of averages, of the rule itself, of parameters in 16 bits. */
  readonly overrides: Readonly<Record<"shell" | "average" | "rule" | "params", Constants>>;
  /** Bit by state slot: it begins with the parameters, or it is made later and begins with NaN. */
  readonly begins: { readonly slots: number; readonly later: number };
  /** Values of overrides where state is quantized. */
  readonly quantized: Constants | undefined;
  /** Some group has `toward`, `cautious`, `l1` or `cautiousUpdate`. */
  readonly modifiesDecay: boolean;
  readonly cautiousUpdates: boolean;
  /** What the rule does before it updates; see `RuleDefinition`. */
  readonly prepares: "sums" | "state" | undefined;
  readonly settles: "tensor" | "together" | undefined;
  /** It prepares only when it is asked to. */
  readonly estimates: boolean;
  readonly evaluates: boolean;
  readonly opens: boolean;
  readonly finishes: boolean;
}

/** What holds for all rules. */
export interface SharedOptions {
  /** Gradients are measured before the update. `p` of the norm, 0 for infinity. */
  readonly measure: { readonly p: number; readonly lossScale: 0 | 1 | 2 } | undefined;
  readonly clipsValue: boolean;
}

/** A rule in a storage format. */
export interface StageContext {
  readonly storage: Storage;
  readonly rule: RuleVariant;
  readonly index: number;
  readonly options: SharedOptions;
  /** Values of overrides of what lies in the state and of the rule: for all kernels that see both. */
  readonly ofRule: Constants;
  /** The rule, decay, averages and what opens and finishes an update, by role. */
  readonly links: Readonly<Record<string, WgslFile>>;
}

/** Values of overrides of what lies in the state, for kernels that see no rule. */
export function stateConstants({ storage, rule }: StageContext): Constants {
  return (storage.quantizes && rule.quantized) || {};
}
