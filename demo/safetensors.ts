/** A state dict as a safetensors file, which Python reads with `safetensors.torch.load_file`. */
import type { StateDict } from "../src/index.ts";

/**
 * Parameters under their own names, optimizer state as `NAME.exp_avg` and so on.
 * Format: length of the header as u64, the header as JSON, the data. https://github.com/huggingface/safetensors#format
 */
export function safetensors(state: StateDict): Blob {
  const entries = Object.entries(state.tensors).flatMap(([name, { shape, param, slots }]) => [
    { name, shape, data: param },
    ...Object.entries(slots).map(([slot, data]) => ({ name: `${name}.${slot}`, shape, data })),
  ]);
  const header: Record<string, unknown> = {
    // The format allows only texts here.
    __metadata__: { rule: state.rule, stepsApplied: String(state.stepsApplied), groups: JSON.stringify(state.groups) },
  };
  let end = 0;
  for (const { name, shape, data } of entries) {
    header[name] = { dtype: "F32", shape, data_offsets: [end, end + data.byteLength] };
    end += data.byteLength;
  }
  // Padded with spaces, so that the data begin at a multiple of 8.
  const text = JSON.stringify(header);
  const bytes = new TextEncoder().encode(text.padEnd(Math.ceil(text.length / 8) * 8));
  const length = new DataView(new ArrayBuffer(8));
  length.setBigUint64(0, BigInt(bytes.length), true);
  return new Blob([length, bytes, ...entries.map(({ data }) => data as Float32Array<ArrayBuffer>)]);
}
