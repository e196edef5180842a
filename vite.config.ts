import { defineConfig } from "vite";
import { wgslPlugin } from "./vite-wgsl.ts";

// The library build. Declarations come from tsc; pages are served by test/browser/serve.ts with a configuration of its own.
export default defineConfig({
  plugins: [wgslPlugin()],
  publicDir: false,
  build: {
    lib: {
      entry: ["src/index.ts", "src/checkpoint/index.ts", "src/jax/index.ts", "src/tfjs/index.ts", "src/nn/index.ts"],
      formats: ["es"],
    },
    target: "es2022",
    rolldownOptions: {
      // Peers of the adapters are the user's.
      external: /^@(jax-js|tensorflow)\//,
      // A file for each source file, next to its declarations. In chunks shared by several entries everything would hang on
      // everything: `cosine` alone took 8.7 kB of a user's bundle, and 0.7 kB this way.
      output: { preserveModules: true, preserveModulesRoot: "src" },
    },
    // Whoever bundles the package minifies it; until then stack traces and licences stay readable.
    minify: false,
  },
});
