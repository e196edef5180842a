/** A split of the data set in GPU memory: the bytes as they are, 4 pixels a word. */
import type { Split } from "./idx.ts";

export interface GpuSplit {
  readonly count: number;
  /** `[count, pixelsPerImage / 4]` u32 */
  readonly samples: GPUBuffer;
  /** `[count]` u32 */
  readonly classes: GPUBuffer;
  /** `[count]` u32: indices of samples; as they come until it is written. */
  readonly order: GPUBuffer;
  destroy(): void;
}

export function uploadSplit(device: GPUDevice, label: string, split: Split): GpuSplit {
  const create = (name: string, words: ArrayBufferView<ArrayBuffer>) => {
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST;
    const buffer = device.createBuffer({ label: `${label}.${name}`, size: words.byteLength, usage });
    device.queue.writeBuffer(buffer, 0, words);
    return buffer;
  };
  const samples = create("samples", split.pixels);
  const classes = create("classes", Uint32Array.from(split.labels));
  const order = create(
    "order",
    Uint32Array.from({ length: split.count }, (_, k) => k),
  );
  return {
    count: split.count,
    samples,
    classes,
    order,
    destroy: () => {
      for (const buffer of [samples, classes, order]) buffer.destroy();
    },
  };
}
