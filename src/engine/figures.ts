/** What a step did: figures computed in the update pass, read back without waiting. */
import { FIGURES, TENSOR_FIGURES, type Words } from "../kernels/layouts.ts";

/** Norms of one tensor, one group or everything. */
export interface NormFigures {
  /** Norm of the gradient after unscaling and before clipping; of `clip.normType`, the 2-norm without. NaN or infinite if the gradient is. */
  readonly gradNorm: number;
  /** The same after clipping; with clipping by value the 2-norm. */
  readonly gradNormClipped: number;
  /** 2-norm of the parameter after the step. */
  readonly paramNorm: number;
  /** 2-norm of what the step subtracted, decay included. */
  readonly updateNorm: number;
  /** updateNorm / paramNorm; 0 where both are. About 1e-3 is healthy. */
  readonly updateRatio: number;
  /** Largest finite |gradient|, unscaled, before clipping. */
  readonly maxGrad: number;
  /** Number of non-finite gradients. */
  readonly nonFinite: number;
  /** What clipping by norm multiplied the gradient by: 1 where it did nothing. Of a group: the smallest. */
  readonly clipFactor: number;
}

/** Figures of a group. */
export interface GroupFigures extends NormFigures {
  readonly lr: number;
  readonly weightDecay: number;
  /** Fraction of theta that decay removes in this step; null for `coupled`, where it differs from element to element. */
  readonly decayFraction: number | null;
  /** Sum of the fractions over all steps applied: exp(-dose) is about what decay alone has left of a weight. */
  readonly decayDose: number | null;
  /** 1 / decayFraction: after about so many steps a weight has forgotten where it began. Infinity without decay. */
  readonly decayMemory: number | null;
}

/** Figures of one step. */
export interface Figures extends NormFigures {
  /** Number of this step, skipped ones counted, 1 for the first. */
  readonly step: number;
  /** This step was skipped: a gradient was not finite. */
  readonly skipped: boolean;
  readonly stepsApplied: number;
  readonly stepsSkipped: number;
  /** Dynamic loss scale used in this step; the static one, or 1, without. */
  readonly lossScale: number;
  /**
   * Milliseconds that the device took for the step itself, figures included and `record` not; of accumulated steps for the last
   * micro-batch. Null without `monitor.timing`, and where the driver's timestamps cannot be. Browsers round it, by default to 0.1.
   */
  readonly gpuTime: number | null;
  /** Tensors that had a non-finite gradient since the figures before these. */
  readonly nonFiniteTensors: readonly string[];
  readonly groups: Readonly<Record<string, GroupFigures>>;
  readonly tensors: Readonly<Record<string, NormFigures>>;
}

/** What the host knows of a step when its figures arrive. */
export interface FiguresContext {
  readonly tensors: readonly { readonly name: string; readonly group: number }[];
  readonly groupNames: readonly string[];
  /** 1 / (static loss scale * micro-batches). */
  readonly unscale: number;
  readonly staticLossScale: number;
  readonly dynamicLossScale: boolean;
  /** Type of the gradient norms; 0 for infinity. */
  readonly p: number;
  readonly clipsValue: boolean;
  /** Host-side numbers of a group in update `applied`. */
  readonly group: (
    applied: number,
    group: number,
  ) => { lr: number; weightDecay: number; fraction: number | null; dose: number | null };
  /** Bad steps by tensor, as of the figures before; brought up to date. */
  readonly badSteps: Uint32Array;
  readonly gpuTime: number | null;
}

type Sums = {
  grad: number;
  clipped: number;
  param: number;
  update: number;
  max: number;
  nonFinite: number;
  nan: boolean;
  clip: number;
};

/** Decodes `struct Figures`. Sums over tensors are made here, in float64. */
export function decodeFigures(words: Words, at: FiguresContext): Figures {
  const head = words.read(FIGURES, 0);
  const unscale = at.unscale / head.loss_scale;
  const p = at.p;
  const nonFiniteTensors: string[] = [];
  const total = empty();
  const byGroup = at.groupNames.map(empty);
  const tensors: Record<string, NormFigures> = {};
  at.tensors.forEach(({ name, group }, k) => {
    const row = words.read(TENSOR_FIGURES, FIGURES.length + k * TENSOR_FIGURES.length);
    if (row.bad_steps !== at.badSteps[k] || row.non_finite !== 0) nonFiniteTensors.push(name);
    at.badSteps[k] = row.bad_steps;
    const grad = row.grad_norm * unscale;
    const clip = row.factor / unscale;
    const one: Sums = {
      grad: power(grad, p),
      clipped: at.clipsValue ? row.clipped_norm ** 2 : power(grad * clip, p),
      param: row.param_norm ** 2,
      update: row.update_norm ** 2,
      max: row.max_grad * unscale,
      nonFinite: row.non_finite & 0x7fffffff,
      nan: row.non_finite >>> 31 === 1,
      clip,
    };
    tensors[name] = norms(one, p, at.clipsValue);
    join(total, one, p, at.clipsValue);
    join(byGroup[group] as Sums, one, p, at.clipsValue);
  });
  const skipped = head.skip === 1;
  const stepsApplied = (head.step - head.skipped) >>> 0;
  const groups: Record<string, GroupFigures> = {};
  at.groupNames.forEach((name, g) => {
    const { lr, weightDecay, fraction } = at.group(skipped ? stepsApplied + 1 : stepsApplied, g);
    groups[name] = {
      ...norms(byGroup[g] as Sums, p, at.clipsValue),
      lr,
      weightDecay,
      decayFraction: fraction,
      decayDose: fraction === null ? null : (at.group(stepsApplied, g).dose ?? 0),
      decayMemory: fraction === null ? null : 1 / fraction,
    };
  });
  return {
    ...norms(total, p, at.clipsValue),
    clipFactor: head.clip,
    step: head.step,
    skipped,
    stepsApplied,
    stepsSkipped: head.skipped,
    lossScale: at.dynamicLossScale ? head.loss_scale : at.staticLossScale,
    gpuTime: at.gpuTime,
    nonFiniteTensors,
    groups,
    tensors,
  };
}

function empty(): Sums {
  return { grad: 0, clipped: 0, param: 0, update: 0, max: 0, nonFinite: 0, nan: false, clip: 1 };
}

function power(x: number, p: number): number {
  return p === 0 ? x : x ** p;
}

function join(sum: Sums, one: Sums, p: number, clipsValue: boolean): void {
  sum.grad = p === 0 ? Math.max(sum.grad, one.grad) : sum.grad + one.grad;
  // After clipping by value it is the square of a 2-norm, whatever p is.
  sum.clipped = p === 0 && !clipsValue ? Math.max(sum.clipped, one.clipped) : sum.clipped + one.clipped;
  sum.param += one.param;
  sum.update += one.update;
  sum.max = Math.max(sum.max, one.max);
  sum.nonFinite += one.nonFinite;
  sum.nan ||= one.nan;
  sum.clip = Math.min(sum.clip, one.clip);
}

function norms(s: Sums, p: number, clipsValue: boolean): NormFigures {
  const root = (x: number): number => (p === 0 ? x : x ** (1 / p));
  const bad = s.nan ? NaN : s.nonFinite > 0 ? Infinity : undefined;
  const paramNorm = Math.sqrt(s.param);
  const updateNorm = Math.sqrt(s.update);
  return {
    gradNorm: bad ?? root(s.grad),
    gradNormClipped: bad ?? (clipsValue ? Math.sqrt(s.clipped) : root(s.clipped)),
    paramNorm,
    updateNorm,
    updateRatio: updateNorm === 0 ? 0 : updateNorm / paramNorm,
    maxGrad: s.max,
    nonFinite: s.nonFinite,
    clipFactor: s.clip,
  };
}
