/** Dynamic loss scaling as in `torch.cuda.amp.GradScaler`. */

export interface LossScaleOptions {
  readonly initial?: number;
  readonly growthFactor?: number;
  readonly backoffFactor?: number;
  readonly growthInterval?: number;
}

export class TwinLossScaler {
  scale: number;
  /** Good steps since the scale last changed. */
  growthTracker = 0;
  readonly #growthFactor: number;
  readonly #backoffFactor: number;
  readonly #growthInterval: number;
  #sawNonFinite = false;

  constructor({ initial, growthFactor, backoffFactor, growthInterval }: LossScaleOptions = {}) {
    this.scale = initial ?? 65536;
    this.#growthFactor = growthFactor ?? 2;
    this.#backoffFactor = backoffFactor ?? 0.5;
    this.#growthInterval = growthInterval ?? 2000;
  }

  /** An optimizer says whether it met a non-finite gradient; several may before {@link update}. */
  report(nonFinite: boolean): void {
    this.#sawNonFinite ||= nonFinite;
  }

  /** Ends the step: backs off if any optimizer met a non-finite gradient, else counts and perhaps grows. */
  update(): void {
    if (this.#sawNonFinite) {
      this.scale *= this.#backoffFactor;
      this.growthTracker = 0;
    } else if (++this.growthTracker === this.#growthInterval) {
      this.scale *= this.#growthFactor;
      this.growthTracker = 0;
    }
    this.#sawNonFinite = false;
  }
}
