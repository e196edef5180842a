/**
 * State in 8 bits as the host reads and writes it: the twin of `shaders/state/blocks8.wgsl`, which says what codes and scales are.
 *
 * Values that come from codes go back to the same codes and scales: the value of largest magnitude is the scale itself, whose code
 * stands for 1, and of the other codes each is nearest to its own value, off by no more than two roundings to float32.
 */
const BLOCK = 256;
// Blocks with no larger value are 0.
const SMALLEST = 2 ** -104;

/** What the codes of a slot stand for, and the codes in the order of these values. */
interface DynamicMap {
  readonly values: Float64Array;
  readonly ascending: Uint8Array;
}

const maps = new Map<boolean, DynamicMap>();

function mapOf(signed: boolean): DynamicMap {
  const known = maps.get(signed);
  if (known) return known;
  const levels = [0, 1, 2, 3, 4, 5, 6].flatMap((level) => {
    const count = 2 ** (level + Number(!signed));
    return Array.from({ length: count }, (_, j) => 10 ** (level - 6) * (0.1 + (0.9 * (j + 0.5)) / count));
  });
  const negative = signed ? levels.map((x) => -x) : [];
  const values = Float64Array.from([0, ...levels, 1, ...negative]);
  const ascending = Uint8Array.from(values.keys()).sort((a, b) => (values[a] as number) - (values[b] as number));
  const map = { values, ascending };
  maps.set(signed, map);
  return map;
}

/** The values of `codes`. */
export function dequantize(codes: Uint8Array, scales: Float32Array, signed: boolean): Float32Array {
  const { values } = mapOf(signed);
  return Float32Array.from(codes, (code, i) => (values[code] as number) * (scales[Math.floor(i / BLOCK)] as number));
}

/** Codes, filled up to whole blocks, and scales of `data`. */
export function quantize(
  data: Float32Array,
  signed: boolean,
): { codes: Uint8Array<ArrayBuffer>; scales: Float32Array<ArrayBuffer> } {
  const blocks = Math.ceil(data.length / BLOCK);
  const codes = new Uint8Array(blocks * BLOCK);
  const scales = new Float32Array(blocks);
  for (let b = 0; b < blocks; b++) {
    const block = data.subarray(b * BLOCK, (b + 1) * BLOCK);
    const scale = scaleOf(block);
    scales[b] = signed ? scale : Math.abs(scale);
    if (scale === 0 || Number.isNaN(scale)) continue;
    block.forEach((x, i) => {
      codes[b * BLOCK + i] = codeOf(x / (scales[b] as number), signed);
    });
  }
  return { codes, scales };
}

function scaleOf(block: Float32Array): number {
  let scale = 0;
  for (const x of block) {
    if (!Number.isFinite(x)) return Number.NaN;
    if (Math.abs(x) > Math.abs(scale)) scale = x;
  }
  return Math.abs(scale) < SMALLEST ? 0 : scale;
}

/** The nearest code; of what is positive and may not be negative, never that of 0. */
function codeOf(y: number, signed: boolean): number {
  const { values, ascending } = mapOf(signed);
  const value = (place: number): number => values[ascending[place] as number] as number;
  if (!signed && y <= 0) return 0;
  let low = signed ? 0 : 1;
  let high = 255;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (y > (value(middle) + value(middle + 1)) / 2) low = middle + 1;
    else high = middle;
  }
  return ascending[low] as number;
}
