/** The float32 values of a buffer. Waits for the GPU. */
export async function readFloats(device: GPUDevice, buffer: GPUBuffer): Promise<Float32Array> {
  const staging = device.createBuffer({ size: buffer.size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  const encoder = device.createCommandEncoder();
  encoder.copyBufferToBuffer(buffer, 0, staging, 0, buffer.size);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(GPUMapMode.READ);
  const values = new Float32Array(staging.getMappedRange().slice(0));
  staging.destroy();
  return values;
}

/** The mean of the last column of a matrix: the losses of samples. */
export async function meanOfLastColumn(device: GPUDevice, matrix: GPUBuffer, columns: number): Promise<number> {
  const values = await readFloats(device, matrix);
  let sum = 0;
  for (let i = columns - 1; i < values.length; i += columns) sum += values[i]!;
  return (sum * columns) / values.length;
}
