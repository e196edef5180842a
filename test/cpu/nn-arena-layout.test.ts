/** Where the memory of a plan lies: what is alive at once does not overlap, and what WebGPU keeps apart is apart. */
import { describe, expect, it } from "vitest";
import { Arena, type RegionPlace, type StepRegions } from "../../src/nn/arena-layout.ts";
import { Region } from "../../src/nn/layer.ts";
import { words } from "../reference/prng.ts";

const region = (bytes: number) => new Region("r", bytes);
const step = (reads: Region[], writes: Region[], scratchBytes = 0): StepRegions => ({ reads, writes, scratchBytes });
const total = (arena: Arena) => arena.sizes.reduce((sum, size) => sum + size, 0);

/** Layers one after the other, forward and backward, as a deep network is trained. */
function chain(layers: number, bytes: number): StepRegions[] {
  const activations = Array.from({ length: layers + 1 }, () => region(bytes));
  const gradients = Array.from({ length: layers + 1 }, () => region(bytes));
  const forward = activations.slice(1).map((output, i) => step([activations[i]!], [output]));
  const loss = step([activations[layers]!], [gradients[layers]!]);
  const backward = forward.map((_, i) => step([gradients[i + 1]!, activations[i]!], [gradients[i]!])).reverse();
  return [...forward, loss, ...backward];
}

function check(steps: readonly StepRegions[], kept: readonly Region[] = []): Arena {
  const arena = new Arena(2 ** 28);
  const { places, scratch } = arena.layOut(steps, kept);
  const lives = new Map<RegionPlace, [number, number]>();
  const live = (place: RegionPlace, i: number) => lives.set(place, [lives.get(place)?.[0] ?? i, i]);
  steps.forEach(({ reads, writes }, i) => {
    const [read, written] = [reads, writes].map((list) => list.map((r) => places.get(r)!)) as [
      RegionPlace[],
      RegionPlace[],
    ];
    for (const place of [...read, ...written]) live(place, i);
    const own = scratch[i];
    if (own) live(own, i);
    const writtenBuffers = new Set(written.map(({ buffer }) => buffer));
    for (const { buffer } of read) expect(writtenBuffers.has(buffer), "read and written in one step").toBe(false);
    for (const { buffer } of own ? [...read, ...written] : []) expect(buffer).not.toBe(own!.buffer);
  });
  for (const kept_ of kept) live(places.get(kept_)!, steps.length);
  const all = [...lives];
  for (const [place, [first, last]] of all) {
    expect(place.offset % 256).toBe(0);
    expect(place.offset + place.size).toBeLessThanOrEqual(arena.sizes[place.buffer]!);
    for (const [other, [otherFirst, otherLast]] of all) {
      if (other === place || other.buffer !== place.buffer || last < otherFirst || otherLast < first) continue;
      const apart = place.offset + place.size <= other.offset || other.offset + other.size <= place.offset;
      expect(apart, "alive at once").toBe(true);
    }
  }
  return arena;
}

describe("Arena", () => {
  it("keeps activations until they are used, and shares the place of gradients", () => {
    const arena = check(chain(10, 1000));
    // 11 activations and, at any time, two gradients; they may take the places of activations that are done with.
    expect(total(arena)).toBeLessThanOrEqual(13 * 1024);
    expect(arena.sizes.length).toBeLessThanOrEqual(3);
  });

  it("needs little for an evaluation, however deep", () => {
    const steps = chain(40, 4096).slice(0, 40);
    expect(total(check(steps))).toBe(2 * 4096);
  });

  it("keeps what is wanted afterwards", () => {
    const [a, b, c, d] = [region(512), region(512), region(512), region(512)] as [Region, Region, Region, Region];
    check([step([], [a]), step([a], [b]), step([b], [c]), step([c], [d])], [a, d]);
  });

  it("gives scratch a buffer of its own", () => {
    const [a, b] = [region(100), region(100)] as [Region, Region];
    expect(check([step([], [a]), step([a], [b], 3000)]).sizes).toHaveLength(3);
  });

  it("lets a second list of steps use what the first one has", () => {
    const arena = new Arena(2 ** 28);
    arena.layOut(chain(10, 1000), []);
    const before = [...arena.sizes];
    arena.layOut(chain(10, 1000).slice(0, 11), []);
    expect(arena.sizes).toEqual(before);
  });

  it("begins another buffer where one would be larger than the device allows", () => {
    const arena = new Arena(4096);
    arena.layOut(chain(10, 1000), []);
    for (const size of arena.sizes) expect(size).toBeLessThanOrEqual(4096);
  });

  it("holds for random graphs", () => {
    for (let seed = 0; seed < 40; seed++) {
      let n = 0;
      const random = (below: number) => words(seed, 9, 0, n++).w1 % below;
      const regions = [region(1 + random(5000))];
      const steps = [step([], [regions[0]!])];
      for (let i = 0; i < 30; i++) {
        const reads = Array.from({ length: 1 + random(3) }, () => regions[random(regions.length)]!);
        const fresh = Array.from({ length: 1 + random(2) }, () => region(1 + random(5000)));
        steps.push(step(reads, fresh, random(3) === 0 ? 700 : 0));
        regions.push(...fresh);
      }
      check(steps, [regions[random(regions.length)]!]);
    }
  });
});
