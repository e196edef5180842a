/** Gradients of what is used more than once: of values with several layers behind them, and of tied parameters. */
import type { BufferSlice } from "../engine/options.ts";
import { add, addRowGradient, addTo } from "./kernels/elementwise.ts";
import { activationBytes, type MakeRunnable, type Place, Region, type Runnable } from "./layer.ts";
import { type Shape, sizeOf } from "./shape.ts";

/** A gradient, and whether whoever gets it may change it. */
export interface Share {
  readonly place: Place;
  readonly owned: boolean;
}

/** A parameter and where its gradient belongs. */
export interface GradientOf {
  readonly name: string;
  readonly shape: Shape;
  readonly grad: BufferSlice;
}

/** Records a kernel. */
type RecordKernel = <Size, Options, R extends Runnable<string>>(
  label: string,
  make: MakeRunnable<Size, Options, R>,
  size: Size,
  options: Options,
  places: Readonly<Record<string, Place>>,
  writes: readonly string[],
) => void;

export class GradientSums {
  readonly #rows: number;
  readonly #record: RecordKernel;
  readonly #written = new Set<string>();
  readonly #pending: { readonly of: GradientOf; readonly source: Region }[] = [];

  constructor(rows: number, record: RecordKernel) {
    this.#rows = rows;
    this.#record = record;
  }

  /** `sum` and what lies at `place`, both activations of this shape. */
  add(label: string, shape: Shape, sum: Share, place: Place): Share {
    const size = { rows: this.#rows, features: sizeOf(shape) };
    if (sum.owned) {
      this.#record(label, addTo, size, {}, { source: place, target: sum.place }, ["target"]);
      return sum;
    }
    const output = new Region(label, activationBytes(this.#rows, shape));
    this.#record(label, add, size, {}, { a: sum.place, b: place, output }, ["output"]);
    return { place: output, owned: true };
  }

  /** Where a kernel that overwrites puts a parameter's gradient. */
  place(of: GradientOf): Place {
    if (!this.#written.has(of.name)) {
      this.#written.add(of.name);
      return of.grad;
    }
    const source = new Region(`${of.name}.gradient`, sizeOf(of.shape) * 4);
    this.#pending.push({ of, source });
    return source;
  }

  /** The same for kernels that can add, if all of the tensors have had their first share. */
  places(all: readonly GradientOf[]): { places: Place[]; accumulate: boolean } {
    const accumulate = all.every(({ name }) => this.#written.has(name));
    return { places: all.map((of) => (accumulate ? of.grad : this.place(of))), accumulate };
  }

  /** Adds what could not be added directly. */
  flush(): void {
    for (const { of, source } of this.#pending.splice(0)) {
      // One row to sum up: unlike `addTo` it needs no whole number of quads.
      const size = { rows: 1, features: sizeOf(of.shape) };
      const places = { outputGradient: source, rowGradient: of.grad };
      this.#record(`${of.name}.gradientSum`, addRowGradient, size, { accumulate: true }, places, ["rowGradient"]);
    }
  }
}
