/** Parameters and gradients without an optimizer. */
import type { ArenaParam, BufferSlice } from "../engine/options.ts";
import { quadsOf } from "./activation.ts";
import type { TensorSource } from "./compile.ts";

const [COPY_SRC, COPY_DST, STORAGE] = [0x4, 0x8, 0x80];

type Filled = ArenaParam & { readonly data: Float32Array<ArrayBuffer> };

/** A buffer for each tensor and one for its gradient. */
export class OwnTensors implements TensorSource {
  readonly #device: GPUDevice;
  readonly #tensors: ReadonlyMap<string, { readonly param: BufferSlice; readonly grad: BufferSlice }>;

  constructor(device: GPUDevice, params: readonly Filled[]) {
    this.#device = device;
    const create = (label: string, elements: number): BufferSlice => {
      // Kernels read quads; the range is the tensor alone.
      const size = quadsOf(elements) * 16;
      const buffer = device.createBuffer({ label, size, usage: STORAGE! | COPY_SRC! | COPY_DST! });
      return { buffer, offset: 0, size: elements * 4 };
    };
    this.#tensors = new Map(
      params.map(({ name, data }) => {
        const pair = { param: create(`nn.${name}`, data.length), grad: create(`nn.${name}.gradient`, data.length) };
        return [name, pair];
      }),
    );
    for (const { name, data } of params) this.write(name, data);
  }

  tensor(name: string) {
    return this.#tensors.get(name)!;
  }

  write(name: string, data: Float32Array<ArrayBuffer>): void {
    this.#device.queue.writeBuffer(this.tensor(name).param.buffer, 0, data);
  }

  destroy(): void {
    for (const { param, grad } of this.#tensors.values()) {
      param.buffer.destroy();
      grad.buffer.destroy();
    }
  }
}
