/** The files of MNIST. */
import { describe, expect, it } from "vitest";
import { parseSplit } from "../../demo/mnist/idx.ts";

describe("parseSplit", () => {
  const header = [0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3];
  const images = new Uint8Array([...header, ...Array.from({ length: 12 }, (_, k) => k)]);
  const labels = new Uint8Array([0, 0, 8, 1, 0, 0, 0, 2, 7, 9]);

  it("reads images and labels", () => {
    const split = parseSplit(images, labels);
    expect([split.count, split.pixelsPerImage]).toEqual([2, 6]);
    expect(Array.from(split.pixels)).toEqual(Array.from({ length: 12 }, (_, k) => k));
    expect(Array.from(split.labels)).toEqual([7, 9]);
  });

  it.each([
    ["labels for images", labels, labels, /not an IDX file of kind 2051/],
    ["nothing", new Uint8Array(0), labels, /not an IDX file/],
    ["a file that is cut off", images.subarray(0, 27), labels, /cut off/],
    ["labels of another set", images, new Uint8Array([0, 0, 8, 1, 0, 0, 0, 3, 7, 9, 1]), /2 images but 3 labels/],
  ])("refuses %s", (_, imageFile, labelFile, message) => {
    expect(() => parseSplit(imageFile, labelFile)).toThrow(message);
  });
});
