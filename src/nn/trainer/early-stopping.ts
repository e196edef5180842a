/** Ends a training when a figure of the tests does not get better any more. */
import { checkKeys, checkNumber } from "../../engine/checks.ts";
import { OptionError } from "../../errors.ts";

/** Options of early stopping. */
export interface EarlyStoppingOptions {
  /** Figure of the test set (of training, without one): the loss, which falls, or the accuracy, which rises. Default `loss`. */
  readonly metric?: "loss" | "accuracy";
  /** Tests in a row without getting better that are let pass: the next one ends the training. Default 3. */
  readonly patience?: number;
  /** By how much a figure must beat the best one; default 0. */
  readonly minDelta?: number;
}

/** What early stopping remembers. */
export interface EarlyStoppingState {
  /** Null before the first test. */
  readonly best: number | null;
  readonly bad: number;
}

export class EarlyStopping {
  readonly metric: "loss" | "accuracy";
  readonly #patience: number;
  readonly #minDelta: number;
  #best: number | null = null;
  #bad = 0;

  /** @throws {OptionError} */
  constructor(where: string, options: EarlyStoppingOptions, classes: boolean) {
    checkKeys(where, "earlyStopping", options, ["metric", "patience", "minDelta"]);
    const { metric = "loss", patience = 3, minDelta = 0 } = options as EarlyStoppingOptions;
    if (metric !== "loss" && !(metric === "accuracy" && classes))
      throw new OptionError(
        where,
        "earlyStopping.metric",
        classes ? 'must be "loss" or "accuracy"' : 'must be "loss" where the targets are no classes',
        metric,
      );
    checkNumber(where, "earlyStopping.patience", patience, { min: 0, whole: true });
    checkNumber(where, "earlyStopping.minDelta", minDelta, { min: 0 });
    this.metric = metric;
    this.#patience = patience;
    this.#minDelta = minDelta;
  }

  /** Tells it the figure of a test; true: it is time to end. NaN is never better than anything. */
  update(figure: number): boolean {
    const sign = this.metric === "loss" ? 1 : -1;
    if (this.#best === null ? !Number.isNaN(figure) : sign * figure < sign * this.#best - this.#minDelta) {
      this.#best = figure;
      this.#bad = 0;
    } else this.#bad += 1;
    return this.isOver;
  }

  /** It is time to end. */
  get isOver(): boolean {
    return this.#bad > this.#patience;
  }

  get state(): EarlyStoppingState {
    return { best: this.#best, bad: this.#bad };
  }

  load({ best, bad }: EarlyStoppingState): void {
    this.#best = best;
    this.#bad = bad;
  }
}
