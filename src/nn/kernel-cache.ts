/** Kernels of one plan: equal sizes and options are compiled once, however many layers have them. */
import type { MakeRunnable, Runnable } from "./layer.ts";

export class KernelCache {
  readonly #device: GPUDevice;
  readonly #label: string;
  readonly #made = new Map<unknown, Map<string, Promise<Runnable<string>>>>();

  constructor(device: GPUDevice, label: string) {
    this.#device = device;
    this.#label = label;
  }

  /** What `make` makes, a promise that is the same for equal arguments. @param label where `make` has no name */
  get<Size, Options, R extends Runnable<string>>(
    label: string,
    make: MakeRunnable<Size, Options, R>,
    size: Size,
    options: Options,
  ): Promise<R> {
    const byArguments = this.#made.get(make) ?? new Map<string, Promise<Runnable<string>>>();
    this.#made.set(make, byArguments);
    const key = JSON.stringify([size, options]);
    let made = byArguments.get(key);
    if (!made) {
      made = make(this.#device, `${this.#label}.${make.name || label}`, size, options);
      // Whoever records it awaits it; until then a rejection is not unheard.
      made.catch(() => {});
      byArguments.set(key, made);
    }
    return made as Promise<R>;
  }
}
