/** `npm run dev` serves this folder; `vite build demo` makes a folder for any static host. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { defineConfig, type Plugin } from "vite";
import { fashionRoutes, mnistRoutes } from "./mnist-files.ts";

/** Serves the files of MNIST and Fashion-MNIST under `mnist/` and `fashion-mnist/`, and puts them into a build. */
function images(): Plugin {
  const routes = { ...mnistRoutes(), ...fashionRoutes() };
  return {
    name: "images",
    configureServer(server) {
      server.middlewares.use((request, response, next) => {
        const bytes = routes[(request.url ?? "").split("?")[0]!]?.();
        if (!bytes) return next();
        response.setHeader("Content-Type", "application/octet-stream");
        response.setHeader("Content-Length", bytes.byteLength);
        response.end(bytes);
      });
    },
    generateBundle() {
      for (const [path, read] of Object.entries(routes)) {
        this.emitFile({ type: "asset", fileName: path.slice(1), source: read() });
      }
    },
  };
}

const pages = readdirSync(import.meta.dirname).filter((file) => file.endsWith(".html"));

export default defineConfig({
  // Relative, so that a build works below any path.
  base: "./",
  plugins: [images()],
  server: { fs: { allow: [".."] } },
  build: {
    outDir: "../out/demo",
    emptyOutDir: true,
    chunkSizeWarningLimit: 3000,
    rolldownOptions: { input: pages.map((file) => join(import.meta.dirname, file)) },
  },
});
