/** The mean of what a parameter has been: exponentially forgetting (EMA), or of all values alike (SWA, Izmailov et al. 2018). */
export class TwinAverage {
  /** How many values are in it. The first one is taken as it is. */
  count = 0;
  readonly values: Float64Array;
  readonly #decay: number | undefined;

  constructor(size: number, decay: number | undefined) {
    this.values = new Float64Array(size);
    this.#decay = decay;
  }

  take(theta: Float64Array): void {
    const weight = this.count === 0 ? 1 : this.#decay === undefined ? 1 / (this.count + 1) : 1 - this.#decay;
    theta.forEach((x, i) => {
      this.values[i] = this.values[i]! + weight * (x - this.values[i]!);
    });
    this.count++;
  }
}
