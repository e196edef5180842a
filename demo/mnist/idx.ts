/** The IDX files of MNIST: big-endian headers, then bytes. http://yann.lecun.com/exdb/mnist/ */

const IMAGES = 2051;
const LABELS = 2049;

/** Images and their classes, as they are in the files. */
export interface Split {
  readonly count: number;
  /** Bytes of an image: rows times columns. */
  readonly pixelsPerImage: number;
  /** `[count, pixelsPerImage]`; 0 is background, 255 ink. */
  readonly pixels: Uint8Array<ArrayBuffer>;
  /** `[count]`, 0 to 9. */
  readonly labels: Uint8Array<ArrayBuffer>;
}

/** Training and test images. */
export interface Mnist {
  readonly train: Split;
  readonly test: Split;
}

/** The four files, by what they hold. */
export const MNIST_FILES = {
  trainImages: "train-images-idx3-ubyte",
  trainLabels: "train-labels-idx1-ubyte",
  testImages: "t10k-images-idx3-ubyte",
  testLabels: "t10k-labels-idx1-ubyte",
} as const;

/**
 * Loads the files from below `base`, a URL that ends with a slash.
 *
 * @param onProgress gets the loaded fraction, 0 to 1
 * @throws Error for a file that is missing or is not what its name says
 */
export async function loadMnist(base: string, onProgress: (fraction: number) => void = () => {}): Promise<Mnist> {
  // The training images are nearly everything there is to wait for.
  const [trainImages, trainLabels, testImages, testLabels] = await Promise.all([
    fetchBytes(base + MNIST_FILES.trainImages, onProgress),
    fetchBytes(base + MNIST_FILES.trainLabels),
    fetchBytes(base + MNIST_FILES.testImages),
    fetchBytes(base + MNIST_FILES.testLabels),
  ]);
  return { train: parseSplit(trainImages, trainLabels), test: parseSplit(testImages, testLabels) };
}

/** Reads a pair of files. @throws Error if they are no MNIST files, or are cut off, or do not belong together. */
export function parseSplit(images: Uint8Array<ArrayBuffer>, labels: Uint8Array<ArrayBuffer>): Split {
  const [count, rows, columns] = header(images, IMAGES, 3) as [number, number, number];
  const [labelCount] = header(labels, LABELS, 1);
  if (labelCount !== count) throw new Error(`MNIST: ${count} images but ${labelCount} labels`);
  const pixelsPerImage = rows * columns;
  return {
    count,
    pixelsPerImage,
    pixels: body(images, 3, count * pixelsPerImage),
    labels: body(labels, 1, count),
  };
}

function header(file: Uint8Array<ArrayBuffer>, magic: number, dimensions: number): number[] {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (file.byteLength < 4 + 4 * dimensions || view.getUint32(0) !== magic) {
    throw new Error(`MNIST: not an IDX file of kind ${magic} (${file.byteLength} bytes)`);
  }
  return Array.from({ length: dimensions }, (_, d) => view.getUint32(4 + 4 * d));
}

function body(file: Uint8Array<ArrayBuffer>, dimensions: number, size: number): Uint8Array<ArrayBuffer> {
  const begin = 4 + 4 * dimensions;
  if (file.byteLength < begin + size) throw new Error(`MNIST: file is cut off at ${file.byteLength} bytes`);
  return file.subarray(begin, begin + size);
}

async function fetchBytes(url: string, onProgress?: (fraction: number) => void): Promise<Uint8Array<ArrayBuffer>> {
  const response = await fetch(url);
  if (!response.ok || !response.body) throw new Error(`${url}: ${response.status} ${response.statusText}`);
  const total = Number(response.headers.get("Content-Length"));
  if (!onProgress || !total) return new Uint8Array(await response.arrayBuffer());
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  const reader = response.body.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    chunks.push(part.value);
    size += part.value.byteLength;
    onProgress(Math.min(1, size / total));
  }
  // A server that compresses tells the compressed length, so the size is only known now.
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.byteLength;
  }
  return bytes;
}
