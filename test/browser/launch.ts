import puppeteer, { type Browser } from "puppeteer-core";
import { ensureBrowser } from "./ensure-browser.ts";

/** Which WebGPU adapter the browser offers: Chrome's software one, or that of the machine. */
export type AdapterChoice = "swiftshader" | "gpu";

export interface BrowserOptions {
  /** Default: WEBGPU_OPTIM_ADAPTER, or else swiftshader on Linux (no display server, often no GPU) and gpu elsewhere. */
  adapter?: AdapterChoice;
  /** Default true. */
  headless?: boolean;
  /** Further command line switches. */
  args?: readonly string[];
}

/** What decides about the switches; injected so that every platform is tested on any. */
export interface Host {
  env: Record<string, string | undefined>;
  platform: NodeJS.Platform;
  root: boolean;
}

const thisHost = (): Host => ({ env: process.env, platform: process.platform, root: process.getuid?.() === 0 });

// A browser that is only a GPU needs no network of its own: nothing is fetched, updated or reported in the background.
const QUIET = [
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** The adapter that WEBGPU_OPTIM_ADAPTER or the platform asks for. @throws Error if the variable has another value. */
export function adapterChoice({ env, platform }: Host = thisHost()): AdapterChoice {
  const value = env.WEBGPU_OPTIM_ADAPTER;
  if (!value) return platform === "linux" ? "swiftshader" : "gpu";
  if (value === "swiftshader" || value === "gpu") return value;
  throw new Error(`WEBGPU_OPTIM_ADAPTER must be "swiftshader" or "gpu", got "${value}"`);
}

/** The command line switches under which the browser has WebGPU; used by Puppeteer and by Vitest alike. */
export function browserArgs(options: Omit<BrowserOptions, "headless"> = {}, host: Host = thisHost()): string[] {
  const adapter = options.adapter ?? adapterChoice(host);
  // --enable-unsafe-webgpu admits software adapters and Linux drivers that are off by default, and gives exact timestamps.
  const args = ["--enable-unsafe-webgpu", ...QUIET];
  if (adapter === "swiftshader") args.push("--use-webgpu-adapter=swiftshader");
  else if (host.platform === "linux") {
    // https://developer.chrome.com/blog/supercharge-web-ai-testing
    args.push("--enable-features=Vulkan", "--use-angle=vulkan", "--disable-vulkan-surface");
  }
  // Chrome's sandbox refuses to run as root, and containers of CI services do not grant the namespaces that it needs.
  if (host.platform === "linux" && (host.root || host.env.CI)) args.push("--no-sandbox");
  return [...args, ...(options.args ?? [])];
}

/** Starts a browser with WebGPU and a profile folder of its own, which Puppeteer removes when the browser closes. */
export async function launchBrowser(options: BrowserOptions = {}): Promise<Browser> {
  const { executablePath } = await ensureBrowser();
  return puppeteer.launch({
    executablePath,
    headless: options.headless ?? true,
    args: browserArgs(options),
    // Software rendering blocks the browser for long: a time limit belongs to the page's work, not to one protocol call.
    protocolTimeout: 0,
  });
}
