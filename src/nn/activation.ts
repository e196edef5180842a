/**
 * How activations and their gradients lie in memory: rows (samples) of a whole number of quads (4 floats), zero behind the
 * last feature, and a whole number of register tiles of rows. So every kernel reads 4 values at a time, whatever the sizes.
 */

/** Rows of a register tile; see `shaders/nn/linear-forward.wgsl`. */
const TILE_ROWS = 8;

/** Rows to allocate for a batch of `samples`. */
export function rowsOf(samples: number): number {
  return Math.ceil(samples / TILE_ROWS) * TILE_ROWS;
}

/** Quads of a row of `features`. */
export function quadsOf(features: number): number {
  return Math.ceil(features / 4);
}

/** A zeroed buffer for an activation (or its gradient) of `rows` by `features`. */
export function createActivation(device: GPUDevice, label: string, rows: number, features: number): GPUBuffer {
  return device.createBuffer({
    label,
    size: rows * quadsOf(features) * 16,
    usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
  });
}
