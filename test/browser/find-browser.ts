import { existsSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { posix, win32 } from "node:path";
import { Browser, detectBrowserPlatform, getInstalledBrowsers } from "@puppeteer/browsers";

/** A Chromium-based browser on this machine, and where the path came from (for messages). */
export interface FoundBrowser {
  executablePath: string;
  source: string;
}

/** What the search reads of the machine; injected so that every platform is tested on any. */
export interface Machine {
  env: Record<string, string | undefined>;
  platform: NodeJS.Platform;
  home: string;
  isFile(path: string): boolean;
  /** Executables in a cache folder of `@puppeteer/browsers`, the best one first. */
  puppeteerCache(cacheDir: string): Promise<string[]>;
  /** The path at which Playwright keeps its own Chromium, whether or not it was downloaded. */
  playwrightPath(): Promise<string | undefined>;
}

/** Variables that name the executable, in the order in which they are asked. */
export const BROWSER_VARIABLES = ["WEBGPU_OPTIM_BROWSER", "CHROME_PATH", "PUPPETEER_EXECUTABLE_PATH"] as const;

const LINUX_NAMES = [
  "google-chrome-stable",
  "google-chrome",
  "chromium",
  "chromium-browser",
  "microsoft-edge-stable",
  "microsoft-edge",
];
const MAC_APPS = ["Google Chrome", "Chromium", "Microsoft Edge", "Google Chrome Canary"];
const WINDOWS_APPS = [
  ["Google", "Chrome", "Application", "chrome.exe"],
  ["Chromium", "Application", "chrome.exe"],
  ["Microsoft", "Edge", "Application", "msedge.exe"],
];

/** The folder that `npx @puppeteer/browsers` and Puppeteer share, from `PUPPETEER_CACHE_DIR` or below the home folder. */
export function puppeteerCacheDir({ env, home, platform }: Pick<Machine, "env" | "home" | "platform">): string {
  const { join } = platform === "win32" ? win32 : posix;
  return env.PUPPETEER_CACHE_DIR || join(home, ".cache", "puppeteer");
}

/** The places where an installer or a package manager of the platform puts a browser, the best one first. */
export function usualPlaces({ env, home, platform }: Pick<Machine, "env" | "home" | "platform">): string[] {
  if (platform === "darwin") {
    return MAC_APPS.flatMap((app) =>
      ["/Applications", posix.join(home, "Applications")].map((folder) =>
        posix.join(folder, `${app}.app`, "Contents", "MacOS", app),
      ),
    );
  }
  if (platform === "win32") {
    const roots = [env.ProgramFiles, env["ProgramFiles(x86)"], env.LOCALAPPDATA].filter((root) => root !== undefined);
    return WINDOWS_APPS.flatMap((app) => roots.map((root) => win32.join(root, ...app)));
  }
  // The fixed folders come first: a PATH entry is often a wrapper script of something else (snap, nix, a test tool).
  const folders = ["/usr/bin", "/usr/local/bin", "/snap/bin", ...(env.PATH ?? "").split(":").filter(posix.isAbsolute)];
  return [...new Set(LINUX_NAMES.flatMap((name) => folders.map((folder) => posix.join(folder, name))))];
}

/**
 * Finds Chrome, Chromium or Edge: environment variables, the usual places, Puppeteer's cache, Playwright's cache.
 *
 * @returns undefined where there is none; see ensureBrowser() for getting one.
 * @throws Error if a variable is set but names no file: falling back would hide the mistake.
 */
export async function findBrowser(machine: Machine = thisMachine()): Promise<FoundBrowser | undefined> {
  for (const variable of BROWSER_VARIABLES) {
    const executablePath = machine.env[variable];
    if (!executablePath) continue;
    if (!machine.isFile(executablePath)) {
      throw new Error(
        `${variable} must be the path of a Chrome, Chromium or Edge executable, but there is no file ${executablePath}`,
      );
    }
    return { executablePath, source: variable };
  }
  const usual = usualPlaces(machine).find((path) => machine.isFile(path));
  if (usual) return { executablePath: usual, source: "system" };
  const cached = (await machine.puppeteerCache(puppeteerCacheDir(machine))).find((path) => machine.isFile(path));
  if (cached) return { executablePath: cached, source: "Puppeteer's cache" };
  const playwright = await machine.playwrightPath();
  if (playwright && machine.isFile(playwright)) return { executablePath: playwright, source: "Playwright's cache" };
  return undefined;
}

/** The machine this process runs on. */
export function thisMachine(): Machine {
  return {
    env: process.env,
    platform: process.platform,
    home: homedir(),
    isFile: (path) => existsSync(path) && statSync(path).isFile(),
    puppeteerCache: async (cacheDir) => {
      // One home folder may serve several systems (a container, Rosetta); only this system's builds run here.
      const platform = detectBrowserPlatform();
      const found = (await getInstalledBrowsers({ cacheDir })).filter((browser) => browser.platform === platform);
      return [Browser.CHROME, Browser.CHROMIUM, Browser.CHROMEHEADLESSSHELL].flatMap((kind) =>
        found
          .filter(({ browser }) => browser === kind)
          .sort((a, b) => b.buildId.localeCompare(a.buildId, "en", { numeric: true }))
          .map(({ executablePath }) => executablePath),
      );
    },
    playwrightPath: async () => (await import("playwright")).chromium.executablePath(),
  };
}
