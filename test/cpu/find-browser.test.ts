import { describe, expect, test } from "vitest";
import { findBrowser, type Machine } from "../browser/find-browser.ts";
import { adapterChoice, browserArgs, type Host } from "../browser/launch.ts";

/** A machine on which exactly these files exist. */
function machine(files: string[], more: Partial<Machine> = {}): Machine {
  return {
    env: {},
    platform: "linux",
    home: "/home/ada",
    isFile: (path) => files.includes(path),
    puppeteerCache: async () => [],
    playwrightPath: async () => undefined,
    ...more,
  };
}

describe("findBrowser", () => {
  test("none", async () => {
    expect(await findBrowser(machine([]))).toBeUndefined();
  });

  test.each<[NodeJS.Platform, string, Record<string, string>]>([
    ["linux", "/usr/bin/google-chrome-stable", {}],
    ["linux", "/usr/bin/chromium", {}],
    ["linux", "/usr/bin/chromium-browser", {}],
    ["linux", "/usr/bin/microsoft-edge-stable", {}],
    ["linux", "/snap/bin/chromium", {}],
    ["linux", "/opt/tools/chromium", { PATH: "/bin:/opt/tools" }],
    ["darwin", "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome", {}],
    ["darwin", "/Users/ada/Applications/Chromium.app/Contents/MacOS/Chromium", {}],
    ["darwin", "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge", {}],
    ["win32", "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe", { ProgramFiles: "C:\\Program Files" }],
    [
      "win32",
      "C:\\Program Files (x86)\\Microsoft\\Edge\\Application\\msedge.exe",
      { "ProgramFiles(x86)": "C:\\Program Files (x86)" },
    ],
    [
      "win32",
      "C:\\Users\\ada\\AppData\\Local\\Google\\Chrome\\Application\\chrome.exe",
      { LOCALAPPDATA: "C:\\Users\\ada\\AppData\\Local" },
    ],
  ])("on %s at %s", async (platform, path, env) => {
    const home = platform === "darwin" ? "/Users/ada" : "/home/ada";
    expect(await findBrowser(machine([path], { platform, env, home }))).toEqual({
      executablePath: path,
      source: "system",
    });
  });

  test("a system's places do not count on another", async () => {
    const mac = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome";
    expect(await findBrowser(machine([mac], { platform: "linux" }))).toBeUndefined();
    expect(await findBrowser(machine(["/usr/bin/chromium"], { platform: "darwin" }))).toBeUndefined();
  });

  test("Chrome before Chromium before Edge, in whatever folder", async () => {
    const files = ["/usr/bin/microsoft-edge", "/usr/bin/chromium", "/usr/local/bin/google-chrome"];
    for (const expected of [...files].reverse()) {
      expect((await findBrowser(machine(files)))?.executablePath).toBe(expected);
      files.pop();
    }
  });

  test("a variable wins over the system, and WEBGPU_OPTIM_BROWSER over the others", async () => {
    const files = ["/usr/bin/chromium", "/a", "/b", "/c"];
    const env: Record<string, string> = { PUPPETEER_EXECUTABLE_PATH: "/c" };
    expect(await findBrowser(machine(files, { env }))).toEqual({
      executablePath: "/c",
      source: "PUPPETEER_EXECUTABLE_PATH",
    });
    env.CHROME_PATH = "/b";
    expect((await findBrowser(machine(files, { env })))?.source).toBe("CHROME_PATH");
    env.WEBGPU_OPTIM_BROWSER = "/a";
    expect((await findBrowser(machine(files, { env })))?.source).toBe("WEBGPU_OPTIM_BROWSER");
  });

  test("a wrong variable is an error that names it, an empty one is none", async () => {
    const wrong = machine(["/usr/bin/chromium"], { env: { CHROME_PATH: "/opt/gone" } });
    await expect(findBrowser(wrong)).rejects.toThrow(/^CHROME_PATH must be .*\/opt\/gone$/);
    const empty = machine(["/usr/bin/chromium"], { env: { CHROME_PATH: "" } });
    expect((await findBrowser(empty))?.source).toBe("system");
  });

  test("then Puppeteer's cache, then Playwright's, if the file is still there", async () => {
    const asked: string[] = [];
    const caches: Partial<Machine> = {
      puppeteerCache: async (folder) => {
        asked.push(folder);
        return ["/cache/new/chrome", "/cache/old/chrome"];
      },
      playwrightPath: async () => "/playwright/chrome",
    };
    expect(await findBrowser(machine(["/cache/old/chrome", "/playwright/chrome"], caches))).toEqual({
      executablePath: "/cache/old/chrome",
      source: "Puppeteer's cache",
    });
    expect(await findBrowser(machine(["/playwright/chrome"], caches))).toEqual({
      executablePath: "/playwright/chrome",
      source: "Playwright's cache",
    });
    await findBrowser(machine([], { ...caches, env: { PUPPETEER_CACHE_DIR: "/elsewhere" } }));
    await findBrowser(machine([], { ...caches, platform: "win32", home: "C:\\Users\\ada" }));
    expect(asked).toEqual([
      "/home/ada/.cache/puppeteer",
      "/home/ada/.cache/puppeteer",
      "/elsewhere",
      "C:\\Users\\ada\\.cache\\puppeteer",
    ]);
  });
});

describe("browserArgs", () => {
  const linux: Host = { env: {}, platform: "linux", root: false };

  test("Linux takes the software adapter, the others their GPU, and WEBGPU_OPTIM_ADAPTER decides", () => {
    expect(adapterChoice(linux)).toBe("swiftshader");
    expect(adapterChoice({ ...linux, platform: "darwin" })).toBe("gpu");
    expect(adapterChoice({ ...linux, env: { WEBGPU_OPTIM_ADAPTER: "gpu" } })).toBe("gpu");
    expect(() => adapterChoice({ ...linux, env: { WEBGPU_OPTIM_ADAPTER: "cpu" } })).toThrow('got "cpu"');
  });

  test("the sandbox is off only on Linux for root and CI", () => {
    const off = (host: Host) => browserArgs({}, host).includes("--no-sandbox");
    expect(off(linux)).toBe(false);
    expect(off({ ...linux, root: true })).toBe(true);
    expect(off({ ...linux, env: { CI: "true" } })).toBe(true);
    expect(off({ env: { CI: "true" }, platform: "darwin", root: true })).toBe(false);
  });

  test("a real GPU needs Vulkan on Linux and nothing elsewhere", () => {
    const vulkan = "--enable-features=Vulkan";
    expect(browserArgs({ adapter: "gpu" }, linux)).toContain(vulkan);
    expect(browserArgs({ adapter: "gpu" }, { ...linux, platform: "win32" })).not.toContain(vulkan);
    expect(browserArgs({}, linux)).toContain("--use-webgpu-adapter=swiftshader");
    expect(browserArgs({ adapter: "gpu" }, linux)).not.toContain("--use-webgpu-adapter=swiftshader");
    expect(browserArgs({ args: ["--last"] }, linux).at(-1)).toBe("--last");
  });
});
