/** Reading back, outside of steps. */
import type { BufferSlice } from "../engine/options.ts";

const [MAP_READ, COPY_DST] = [0x1, 0x8];
const MODE_READ = 1;

/** The bytes of these ranges, of what has been submitted so far. */
export async function readSlices(device: GPUDevice, slices: readonly BufferSlice[]): Promise<ArrayBuffer[]> {
  const ranges = slices.map(({ buffer, offset = 0, size = buffer.size - offset }) => ({ buffer, offset, size }));
  const total = ranges.reduce((sum, { size }) => sum + size, 0);
  if (total === 0) return ranges.map(() => new ArrayBuffer(0));
  const staging = device.createBuffer({ label: "nn.read", size: total, usage: MAP_READ! | COPY_DST! });
  try {
    const encoder = device.createCommandEncoder({ label: "nn.read" });
    let at = 0;
    for (const { buffer, offset, size } of ranges) {
      encoder.copyBufferToBuffer(buffer, offset, staging, at, size);
      at += size;
    }
    device.queue.submit([encoder.finish()]);
    await staging.mapAsync(MODE_READ);
    const bytes = staging.getMappedRange();
    let end = 0;
    return ranges.map(({ size }) => {
      end += size;
      return bytes.slice(end - size, end);
    });
  } finally {
    staging.destroy();
  }
}
