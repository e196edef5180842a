/** Augmentation: what the options say, checked against the images. */
import { checkBoolean, checkKeys, checkNumber } from "../../engine/checks.ts";
import { OptionError } from "../../errors.ts";
import { type Shape, showShape } from "../shape.ts";
import type { ImageChanges } from "./gather.ts";

/** Small random changes of the training images, drawn anew each time an image is seen, by a hash of seed, step and row. */
export interface AugmentOptions {
  /** Moves by up to so many pixels each way, in rows and columns; default 0. */
  readonly shift?: number | readonly [y: number, x: number];
  /** Mirrors every second image, left to right; default false. */
  readonly flip?: boolean;
  /** Standard deviation of noise that is added, about normal; of bytes 1 is 255. Default 0. */
  readonly noise?: number;
  /** What is outside of an image; of bytes 1 is 255. Default 0. */
  readonly fill?: number;
}

/**
 * @param input shape of the model's input
 * @param stored height and width of the images as they are stored; the model gets a part, at random or for tests the middle
 * @returns undefined where images are taken as they are
 * @throws {OptionError}
 */
export function settleAugment(
  where: string,
  input: Shape,
  given: AugmentOptions | undefined,
  stored: readonly [height: number, width: number] | undefined,
): ImageChanges | undefined {
  if (given === undefined && stored === undefined) return undefined;
  checkKeys(where, "augment", given ?? {}, ["shift", "flip", "noise", "fill"]);
  const { shift = 0, flip = false, noise = 0, fill = 0 } = given ?? {};
  const [channels, height, width] = input;
  if (input.length !== 3)
    throw new OptionError(where, "augment", "needs a model of images [channels, height, width]", showShape(input));
  const pair = typeof shift === "number" ? ([shift, shift] as const) : shift;
  if (!Array.isArray(pair) || pair.length !== 2)
    throw new OptionError(where, "augment.shift", "must be a number or [y, x]", shift);
  const size = [height!, width!] as const;
  const kept = stored ?? size;
  if (!Array.isArray(kept) || kept.length !== 2)
    throw new OptionError(where, "stored", "must be [height, width]", stored);
  size.forEach((extent, d) => {
    checkNumber(where, `augment.shift[${d}]`, pair[d], { min: 0, max: extent, whole: true });
    checkNumber(where, `stored[${d}]`, kept[d], { min: extent, max: 2 ** 14, whole: true });
  });
  checkBoolean(where, "augment.flip", flip);
  checkNumber(where, "augment.noise", noise, { min: 0 });
  checkNumber(where, "augment.fill", fill);
  return { channels: channels!, size, stored: kept, shift: pair, flip, noise, fill };
}
