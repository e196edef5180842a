/**
 * Who else holds the memory of an array. jax-js arrays are values: nobody may see one change. So a parameter is updated in place
 * only where nothing but the reference that was handed over can still read it; otherwise it is copied first.
 */
import { devicePut, Array as JaxArray } from "@jax-js/jax";

/** jax-js's table of buffers: arrays, their views and the operations that are built but not submitted count as references. */
type Slots = ReadonlyMap<unknown, { readonly ref: number }>;

/**
 * Finds that table. `refCount` alone does not do: a view made by `reshape` is another array with the same memory, and so is the
 * input of `p.ref.mul(2)` until that is evaluated. The table is no public interface of jax-js; where it is not found, every array
 * counts as shared, which costs a copy and nothing else.
 */
export async function findSlots(): Promise<Slots | undefined> {
  let backend: { buffers?: unknown } | undefined;
  // devicePut() hands its backend to a method of the array that it puts there.
  const probe: JaxArray = Object.create(JaxArray.prototype, {
    _put: {
      value: async (given: typeof backend) => {
        backend = given;
        return probe;
      },
    },
  });
  await devicePut(probe, "webgpu");
  return backend?.buffers instanceof Map ? backend.buffers : undefined;
}

/** The buffer of an array, with all operations that lead to it submitted. The array stays the caller's. */
export function bufferOf(array: JaxArray): GPUBuffer {
  return array.ref.gpuBufferSync();
}

/** Takes an array over and gives one with its values that nobody else can see. `bufferOf` must have been called on it before. */
export function owned(array: JaxArray, slots: Slots | undefined): { array: JaxArray; copied: boolean } {
  const alone = array.refCount === 1 && slots?.get(array._realizeSource())?.ref === 1;
  // jax-js simplifies x * 1 to x: the kernel copies the bits.
  return alone ? { array, copied: false } : { array: array.mul(1), copied: true };
}
