import { defineConfig } from "vite";
import { wgslPlugin } from "./vite-wgsl.ts";

// The library build. Declarations come from tsc; pages are served by test/browser/serve.ts with a configuration of its own.
export default defineConfig({
  plugins: [wgslPlugin()],
  publicDir: false,
  build: {
    lib: { entry: { index: "src/index.ts", jax: "src/jax/index.ts" }, formats: ["es"] },
    target: "es2022",
    // Peers of the adapters are the user's.
    rolldownOptions: { external: /^@jax-js\// },
    // Whoever bundles the package minifies it; until then stack traces and licences stay readable.
    minify: false,
  },
});
