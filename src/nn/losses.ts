/** The losses. All are means over the samples of a batch, and over the elements of a sample where they have several. */
import { checkKeys, checkNumber } from "../engine/checks.ts";
import { OptionError } from "../errors.ts";
import {
  bceWithLogits as bceKernel,
  crossEntropy as crossEntropyKernel,
  huber as huberKernel,
  l1 as l1Kernel,
  mse as mseKernel,
} from "./kernels/losses.ts";
import { batchMetrics, lossRecord } from "./kernels/metrics.ts";
import type { Loss, LossSite } from "./loss.ts";
import { sizeOf, timesOf } from "./shape.ts";

export interface CrossEntropyOptions {
  /** Share of the target that is spread over all classes; in [0, 1), default 0. */
  readonly labelSmoothing?: number;
  /** Weight of each class; the mean is then a weighted one, as in PyTorch. With 0, what is of the class does not count. */
  readonly weight?: ArrayLike<number> | undefined;
}

/**
 * `-log softmax(z)[class]` of logits `[classes]`, or at each time of `[time, classes]`. As `torch.nn.CrossEntropyLoss`.
 *
 * @throws {OptionError}
 */
export function crossEntropy(options: CrossEntropyOptions = {}): Loss {
  const where = "crossEntropy";
  checkKeys(where, "", options, ["labelSmoothing", "weight"]);
  const { labelSmoothing = 0, weight } = options as CrossEntropyOptions;
  checkNumber(where, "labelSmoothing", labelSmoothing, { min: 0, max: 1, open: true });
  const weights = weight && Float32Array.from(weight);
  weights?.forEach((w, i) => {
    checkNumber(where, `weight[${i}]`, w, { min: 0 });
  });
  const sizeOfSite = ({ rows, shape }: LossSite) => {
    return { rows, tokens: timesOf(shape), classes: shape.at(-1)! };
  };
  return {
    kind: where,
    target: "classes",
    check(output) {
      const classes = output.at(-1)!;
      if (output.length > 2) throw new OptionError(where, "output", "must be [classes] or [time, classes]", output);
      if (weights && weights.length !== classes)
        throw new OptionError(where, "weight", `must have ${classes} values, one for each class`, weights.length);
    },
    record(site) {
      const size = sizeOfSite(site);
      const { batch, output: logits, target: labels, outputGradient: logitsGradient, outcomes } = site;
      const classWeights = weights ? site.constant("classWeights", weights) : labels;
      site.run(
        site.kernel(crossEntropyKernel, size, { labelSmoothing, classWeights: weights !== undefined }),
        { batch, logits, labels, classWeights, logitsGradient, outcomes },
        ["logitsGradient", "outcomes"],
      );
      site.run(site.kernel(batchMetrics, size, {}), { batch, outcomes, logits, labels, records: site.records }, [
        "records",
      ]);
    },
  };
}

/** Records a loss of values. */
function recordValues(site: LossSite, kernel: ReturnType<typeof mseKernel>): void {
  const { batch, output: prediction, target, outputGradient: predictionGradient, outcomes, records } = site;
  site.run(kernel, { batch, prediction, target, predictionGradient, outcomes }, ["predictionGradient", "outcomes"]);
  site.run(site.kernel(lossRecord, { rows: site.rows }, {}), { batch, outcomes, records }, ["records"]);
}

const sizeOfValues = ({ rows, shape }: LossSite) => ({ rows, features: sizeOf(shape) });
const anyShape = (): void => {};

/** Binary cross-entropy of logits: `max(z, 0) - z t + log(1 + exp(-|z|))`, targets t in [0, 1]. */
export function bceWithLogits(): Loss {
  return {
    kind: "bceWithLogits",
    target: "values",
    check: anyShape,
    record: (site) => recordValues(site, site.kernel(bceKernel, sizeOfValues(site), {})),
  };
}

/** `(y - t)^2` */
export function mse(): Loss {
  return {
    kind: "mse",
    target: "values",
    check: anyShape,
    record: (site) => recordValues(site, site.kernel(mseKernel, sizeOfValues(site), {})),
  };
}

/** `(y - t)^2 / 2` where |y - t| <= delta, else `delta (|y - t| - delta / 2)`; default delta 1. @throws {OptionError} */
export function huber(options: { readonly delta?: number } = {}): Loss {
  checkKeys("huber", "", options, ["delta"]);
  const { delta = 1 } = options as { delta?: number };
  checkNumber("huber", "delta", delta, { min: 2 ** -126 });
  return {
    kind: "huber",
    target: "values",
    check: anyShape,
    record: (site) => recordValues(site, site.kernel(huberKernel, sizeOfValues(site), { delta })),
  };
}

/** `|y - t|`, with slope 0 at 0. */
export function l1(): Loss {
  return {
    kind: "l1",
    target: "values",
    check: anyShape,
    record: (site) => recordValues(site, site.kernel(l1Kernel, sizeOfValues(site), {})),
  };
}
