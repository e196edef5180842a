import { defineConfig } from "vite";
import { wgslPlugin } from "./vite-wgsl.ts";

// The library build. Declarations come from tsc; pages are served by test/browser/serve.ts with a configuration of its own.
export default defineConfig({
  plugins: [wgslPlugin()],
  publicDir: false,
  build: {
    lib: { entry: "src/index.ts", formats: ["es"], fileName: "index" },
    target: "es2022",
    // Whoever bundles the package minifies it; until then stack traces and licences stay readable.
    minify: false,
  },
});
