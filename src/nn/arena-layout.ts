/**
 * Where the memory of a plan lies. A region lives from the first to the last step that touches it, and regions whose lives do
 * not overlap share their place. A dispatch may not bind one buffer both for reading and for writing, not even disjoint ranges
 * of it: so the arena is a few buffers, and what a step reads and what it writes get different ones.
 */
import type { Region } from "./layer.ts";

/** What one step touches. */
export interface StepRegions {
  readonly reads: readonly Region[];
  readonly writes: readonly Region[];
  /** Bytes that the step needs for itself, in a buffer apart from all that it reads and writes; 0: none. */
  readonly scratchBytes: number;
}

export interface RegionPlace {
  /** Number of the buffer. */
  readonly buffer: number;
  readonly offset: number;
  readonly size: number;
}

/** Places in one list of steps. */
export interface ArenaLayout {
  readonly places: ReadonlyMap<Region, RegionPlace>;
  /** By step. */
  readonly scratch: readonly (RegionPlace | undefined)[];
}

/** What every binding's offset is a multiple of. */
const ALIGNMENT = 256;

interface Life {
  readonly size: number;
  readonly first: number;
  last: number;
  readonly apart: Set<Life>;
  buffer: number;
  offset: number;
}

const overlaps = (a: Life, b: Life): boolean => a.first <= b.last && b.first <= a.last;

/** Lays out lists of steps of which only one runs at a time: they share the buffers. */
export class Arena {
  readonly #sizes: number[] = [];
  readonly #maxBufferSize: number;

  constructor(maxBufferSize: number) {
    this.#maxBufferSize = maxBufferSize;
  }

  /** Bytes of each buffer, after what has been laid out so far. */
  get sizes(): readonly number[] {
    return this.#sizes;
  }

  /** @param kept regions whose contents are still wanted after the last step */
  layOut(steps: readonly StepRegions[], kept: readonly Region[]): ArenaLayout {
    const lives = new Map<Region, Life>();
    const all: Life[] = [];
    const live = (bytes: number, first: number): Life => {
      const size = Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
      const life: Life = { size, first, last: first, apart: new Set(), buffer: -1, offset: 0 };
      all.push(life);
      return life;
    };
    const touch = (region: Region, step: number): Life => {
      const life = lives.get(region) ?? live(region.bytes, step);
      lives.set(region, life);
      life.last = step;
      return life;
    };
    const scratch = steps.map(({ reads, writes, scratchBytes }, i) => {
      const read = reads.map((region) => touch(region, i));
      const written = writes.map((region) => touch(region, i));
      for (const a of read) for (const b of written) separate(a, b);
      if (scratchBytes === 0) return undefined;
      const own = live(scratchBytes, i);
      for (const other of [...read, ...written]) separate(own, other);
      return own;
    });
    for (const region of kept) {
      const life = lives.get(region);
      if (life) life.last = steps.length;
    }
    this.#assignBuffers(all);
    this.#assignOffsets(all);
    const placeOf = ({ buffer, offset, size }: Life): RegionPlace => ({ buffer, offset, size });
    return {
      places: new Map([...lives].map(([region, life]) => [region, { ...placeOf(life), size: region.bytes }])),
      scratch: scratch.map((life) => life && placeOf(life)),
    };
  }

  /** In the order of their birth, each to the buffer that has to grow least for it. */
  #assignBuffers(lives: readonly Life[]): void {
    const peaks = [...this.#sizes];
    for (const life of [...lives].sort((a, b) => a.first - b.first)) {
      const forbidden = new Set([...life.apart].map(({ buffer }) => buffer));
      let best = peaks.length;
      let growth = life.size;
      let peak = life.size;
      for (const [buffer, now] of peaks.entries()) {
        if (forbidden.has(buffer)) continue;
        const beside = lives.filter((other) => other.buffer === buffer && overlaps(other, life));
        const need = beside.reduce((sum, { size }) => sum + size, life.size);
        if (need <= this.#maxBufferSize && Math.max(0, need - now) <= growth) {
          // Of equal ones the first.
          if (Math.max(0, need - now) === growth && best < peaks.length) continue;
          best = buffer;
          growth = Math.max(0, need - now);
          peak = Math.max(now, need);
        }
      }
      life.buffer = best;
      peaks[best] = peak;
    }
  }

  /** The large ones first, each at the lowest place that is free for all its life. */
  #assignOffsets(lives: readonly Life[]): void {
    const placed: Life[] = [];
    for (const life of [...lives].sort((a, b) => b.size - a.size || a.first - b.first)) {
      const beside = placed
        .filter((other) => other.buffer === life.buffer && overlaps(other, life))
        .sort((a, b) => a.offset - b.offset);
      for (const other of beside) {
        if (life.offset + life.size <= other.offset) break;
        life.offset = Math.max(life.offset, other.offset + other.size);
      }
      placed.push(life);
      this.#sizes[life.buffer] = Math.max(this.#sizes[life.buffer] ?? 0, life.offset + life.size);
    }
  }
}

function separate(a: Life, b: Life): void {
  a.apart.add(b);
  b.apart.add(a);
}
