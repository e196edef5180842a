import { createHash } from "node:crypto";
import type { ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "puppeteer-core";
import { createServer, type Plugin } from "vite";
import { type BrowserOptions, launchBrowser } from "./launch.ts";
import { CALL_NODE, type CallNode } from "./page.ts";
import { decode, encode } from "./wire.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

export interface ServeOptions {
  /**
   * What Node hands to the page: path (with a leading slash) to the bytes or text that a fetch of it gets.
   * Called at each request, so a large file is read only when it is asked for.
   */
  routes?: Record<string, () => Uint8Array | string>;
  /**
   * The npm packages that the pages import, with what those import dynamically. They are bundled once and kept in
   * node_modules/.vite; a package that is missing here is served file by file, which CommonJS ones do not survive.
   */
  packages?: readonly string[];
  /** 0, the default, takes a free port. */
  port?: number;
}

/** A running server; `url` ends with a slash and stands for the root of the repository. */
export interface PageServer {
  url: string;
  close(): Promise<void>;
}

/**
 * Serves the repository's pages and modules through Vite on 127.0.0.1. A path that ends with `.html` is that file; a path
 * that ends with `.ts` gets an empty page which runs that module, at `/page/<path>`.
 */
export async function servePages(options: ServeOptions = {}): Promise<PageServer> {
  const packages = [...(options.packages ?? [])].sort();
  // Runs with other packages must not evict each other's bundles, and may be under way at the same time.
  const bundles = createHash("sha256").update(packages.join()).digest("hex").slice(0, 8);
  const server = await createServer({
    configFile: false,
    root: ROOT,
    appType: "mpa",
    logLevel: "warn",
    clearScreen: false,
    cacheDir: join(ROOT, "node_modules", ".vite", `pages-${bundles}`),
    // Discovering a package late would reload the page in the middle of its work: only what is named is bundled.
    optimizeDeps: { include: packages, noDiscovery: true },
    server: {
      host: "127.0.0.1",
      port: options.port ?? 0,
      hmr: false,
      watch: null,
      // An isolated page has performance.now() in steps of 5 microseconds instead of 100.
      headers: { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" },
    },
    plugins: [pagesAndRoutes(options.routes ?? {})],
  });
  await server.listen();
  const { port } = server.httpServer!.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/`, close: () => server.close() };
}

/** The pages for bare modules, and the routes, in front of Vite's own handlers. */
function pagesAndRoutes(routes: Record<string, () => Uint8Array | string>): Plugin {
  return {
    name: "pages-and-routes",
    configureServer(server) {
      server.middlewares.use((request, response, next) => {
        const path = new URL(request.url ?? "/", "http://localhost").pathname;
        const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
        try {
          if (route) reply(response, route(), extname(path) === ".json" ? "application/json" : undefined);
          else if (path.startsWith("/page/")) reply(response, blankPage(path.slice("/page".length)), "text/html");
          else next();
        } catch (error) {
          next(error);
        }
      });
    },
  };
}

function reply(response: ServerResponse, body: Uint8Array | string, type = "application/octet-stream"): void {
  response.setHeader("Content-Type", type);
  response.setHeader("Cross-Origin-Opener-Policy", "same-origin");
  response.setHeader("Cross-Origin-Embedder-Policy", "require-corp");
  response.end(body);
}

const blankPage = (module: string) => `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>${module}</title>
<link rel="icon" href="data:,">
<script type="module" src="${module}"></script>
</html>
`;

/** What one page is given, and what listens to it. */
export interface PageOptions {
  /** The page, from the root of the repository: `bench/page.ts` or `demo/index.html`. A query string is handed on. */
  path: string;
  /** Handed to the page's main function; see pageMain() in page.ts. */
  parameters?: unknown;
  /** Called with each value that the page sends, in order; the page waits for it. */
  onMessage?: (message: unknown) => void | Promise<void>;
  /** Gets every console line of the page. Default: warnings and errors go to stderr. */
  onConsole?: (type: string, text: string) => void;
  /** The whole time the page may take, in milliseconds. Default 60 000. */
  timeoutMs?: number;
  /** Called with the open page before it is loaded, for what this function does not offer (CDP, screenshots). */
  onPage?: (page: Page, browser: Browser) => void | Promise<void>;
}

export interface RunPageOptions extends ServeOptions, BrowserOptions, PageOptions {}

/**
 * Opens a page in a browser of its own and resolves with the value that its main function returns (see pageMain()).
 * Server, browser and profile are gone when the promise settles.
 *
 * @throws Error where main rejects, the page has an uncaught error or an unhandled rejection, writes to console.error,
 * a WebGPU error reaches no error scope, the page or browser dies, or the time is up.
 */
export async function runPage<R = unknown>(options: RunPageOptions): Promise<R> {
  const server = await servePages(options);
  try {
    const browser = await launchBrowser(options);
    try {
      return await runPageIn<R>(browser, server, options);
    } finally {
      await browser.close();
    }
  } finally {
    await server.close();
  }
}

/** runPage() in a new tab of a browser and on a server that the caller started and closes. */
export async function runPageIn<R = unknown>(browser: Browser, server: PageServer, options: PageOptions): Promise<R> {
  const page = await browser.newPage();
  try {
    return (await drive(page, browser, server, options)) as R;
  } finally {
    // A page in an endless loop closes only with its browser, so nobody waits for it here.
    page.close().catch(() => {});
  }
}

async function drive(page: Page, browser: Browser, server: PageServer, options: PageOptions): Promise<unknown> {
  const { path, timeoutMs = 60_000 } = options;
  const complaints: string[] = [];
  let settle!: { resolve: (value: unknown) => void; reject: (error: Error) => void };
  const outcome = new Promise<unknown>((resolve, reject) => {
    settle = { resolve, reject };
  });
  // The page may fail before anything awaits the outcome.
  outcome.catch(() => {});
  const fail = (what: string) => settle.reject(new Error(`${path}: ${what}`));

  page.on("console", (message) => {
    const { url, lineNumber } = message.location();
    const text = url ? `${message.text()} (${url}:${(lineNumber ?? 0) + 1})` : message.text();
    if (message.type() === "error") complaints.push(text);
    if (options.onConsole) options.onConsole(message.type(), text);
    else if (message.type() === "error" || message.type() === "warn") console.error(`${path}: ${text}`);
  });
  page.on("pageerror", (error) => fail(`uncaught ${error instanceof Error ? (error.stack ?? error.message) : error}`));
  page.on("error", (error) => fail(`the page crashed: ${error.message}`));
  page.on("response", (response) => {
    // Without its modules the page would only be silent until its time is up.
    if (response.status() >= 400 && response.request().resourceType() === "script") {
      fail(`${response.url()} got status ${response.status()} (${response.statusText()})`);
    }
  });
  const gone = () => fail("the browser is gone");
  browser.on("disconnected", gone);

  const callNode: CallNode = async (kind, text) => {
    if (kind === "parameters") return encode(options.parameters);
    if (kind === "message") {
      try {
        await options.onMessage?.(decode(text));
      } catch (error) {
        settle.reject(error as Error);
      }
    } else if (kind === "result") settle.resolve(decode(text));
    else fail(String(decode(text)));
    return "null";
  };
  await page.exposeFunction(CALL_NODE, callNode);
  await page.evaluateOnNewDocument(reportGpuErrors);
  await options.onPage?.(page, browser);

  const timer = setTimeout(() => {
    fail(
      `not done after ${timeoutMs / 1000} s${complaints.length ? `; its console says: ${complaints.join("\n")}` : ""}`,
    );
  }, timeoutMs);
  try {
    page
      .goto(`${server.url}${extname(path.replace(/\?.*/, "")) === ".html" ? "" : "page/"}${path}`, {
        timeout: timeoutMs,
      })
      .then((response) => {
        if (response && response.status() >= 400) fail(`status ${response.status()}: ${response.statusText()}`);
      }, settle.reject);
    const value = await outcome;
    // Messages of the console may lag behind the result by one turn of the protocol.
    await page.evaluate(() => new Promise((resolve) => setTimeout(resolve)));
    if (complaints.length) throw new Error(`${path}: the page's console has errors:\n${complaints.join("\n")}`);
    return value;
  } finally {
    clearTimeout(timer);
    browser.off("disconnected", gone);
  }
}

/** Runs in the page before its scripts: an error that no scope catches is else only a warning in the console. */
function reportGpuErrors(): void {
  if (typeof GPUAdapter === "undefined") return;
  const { requestDevice } = GPUAdapter.prototype;
  GPUAdapter.prototype.requestDevice = async function (this: GPUAdapter, descriptor?: GPUDeviceDescriptor) {
    const device = await requestDevice.call(this, descriptor);
    device.addEventListener("uncapturederror", ({ error }) => {
      console.error(`${error.constructor.name} on device "${device.label}": ${error.message}`);
    });
    return device;
  };
}
