/** How the state of a window is laid out: slot after slot, then the numbers that are not one per element. */
import type { BufferRange, Tensor, Window } from "./memory.ts";

/** Elements of a block of quantized state. */
export const BLOCK = 256;
// Words that the codes of a block take.
const BLOCK_CODES = 64;

/** The words that `slots` slots of `stride` elements take: of one that is quantized the codes and the scales. */
export function slotsBegin(stride: number, quantized: number, slots: number): number {
  let words = 0;
  for (let slot = 0; slot < slots; slot++)
    words += (quantized >> slot) & 1 ? (stride / BLOCK) * (BLOCK_CODES + 1) : stride;
  return words;
}

/** The element of its state where a slot of a window begins. */
export function slotBegin({ stride, quantized }: Window, slot: number): number {
  return slotsBegin(stride, quantized, slot);
}

/** Part of a tensor's state: elements `from` to `from + count` of it, at element `first` of the window's state. */
export interface StatePiece {
  readonly window: Window;
  readonly first: number;
  readonly from: number;
  readonly count: number;
  /** Where the scales of its blocks lie, if it is quantized: then its codes begin at `first`. */
  readonly scales?: number;
}

/** Where a state slot of a tensor lies; in several pieces if the tensor spans windows. */
export function slotPieces(tensor: Tensor, slot: number): StatePiece[] {
  return tensor.pieces.map(({ window, from, at, count }) => {
    const begin = slotBegin(window, slot);
    if (!((window.quantized >> slot) & 1)) return { window, first: begin + at, from, count };
    const scales = begin + (window.stride / BLOCK) * BLOCK_CODES + at / BLOCK;
    return { window, first: begin + (at / BLOCK) * BLOCK_CODES, from, count, scales };
  });
}

/** Writes a state slot of a tensor that is not quantized. */
export function writeSlot(queue: GPUQueue, tensor: Tensor, slot: number, data: Float32Array): void {
  for (const piece of slotPieces(tensor, slot)) {
    const { buffer, offset } = rangeOf(piece);
    queue.writeBuffer(buffer, offset, data as Float32Array<ArrayBuffer>, piece.from, piece.count);
  }
}

/** Where `count` of a tensor's numbers lie that are not one per element, from number `at` on. */
export function extraPieces(tensor: Tensor, at: number, count: number): StatePiece[] {
  const window = tensor.pieces[0]?.window;
  return window ? [{ window, first: extraBegin(tensor) + at, from: 0, count }] : [];
}

/** The element of its window's state where a tensor's numbers begin that are not one per element. */
export function extraBegin({ pieces, extraAt }: Tensor): number {
  const window = pieces[0]?.window;
  return window ? window.state.size / 4 - window.extra + extraAt : 0;
}

/** The bytes of a piece. */
export function rangeOf({ window, first, count }: StatePiece): BufferRange {
  return { buffer: window.state.buffer, offset: window.state.offset + first * 4, size: count * 4 };
}
