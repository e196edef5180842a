import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { Browser, detectBrowserPlatform, install, resolveBuildId } from "@puppeteer/browsers";
import { type FoundBrowser, findBrowser, puppeteerCacheDir } from "./find-browser.ts";

const REMEDIES = `Get one of these and run the command again:
  - install Google Chrome, Chromium or Microsoft Edge the usual way
  - Debian, as root: apt-get install chromium
  - npx @puppeteer/browsers install chrome@stable --path "${puppeteerCacheDir({ env: process.env, home: homedir(), platform: process.platform })}"
  - set WEBGPU_OPTIM_BROWSER to the path of an executable you have`;

const say = (line: string) => console.error(`browser: ${line}`);

/**
 * The browser of findBrowser(), or a newly installed one: by apt-get on Debian as root, else as a download into
 * Puppeteer's cache; where the first way fails, the other one. `WEBGPU_OPTIM_NO_BROWSER_INSTALL=1` forbids both.
 *
 * @throws Error with the remedies where there is no browser in the end.
 */
export async function ensureBrowser(): Promise<FoundBrowser> {
  const found = await findBrowser();
  if (found) return found;
  if (process.env.WEBGPU_OPTIM_NO_BROWSER_INSTALL === "1") {
    throw new Error(`No browser found, and WEBGPU_OPTIM_NO_BROWSER_INSTALL=1 forbids installing one. ${REMEDIES}`);
  }
  const failures: string[] = [];
  for (const { name, run } of waysToInstall()) {
    say(`none found; installing: ${name}`);
    try {
      await run();
      const browser = await findBrowser();
      if (!browser) throw new Error("it left no browser where one is looked for");
      checkThatItStarts(browser.executablePath);
      say(`using ${browser.executablePath}`);
      return browser;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      say(`${name} failed: ${reason}`);
      failures.push(`${name}: ${reason}`);
    }
  }
  throw new Error(`No browser found and none could be installed (${failures.join("; ")}). ${REMEDIES}`);
}

interface Way {
  name: string;
  run(): Promise<void> | void;
}

function waysToInstall(): Way[] {
  const apt: Way = { name: "apt-get install chromium", run: installByApt };
  const download: Way = { name: "download of Chrome by @puppeteer/browsers", run: installByDownload };
  if (process.platform !== "linux" || process.getuid?.() !== 0) return [download];
  const release = linuxRelease();
  if (/^ID=debian$/m.test(release)) return [apt, download];
  // Ubuntu's package is a door to the snap store, which containers do not have: the download is the better try.
  if (/^ID_LIKE=.*debian/m.test(release)) return [download, apt];
  return [download];
}

function linuxRelease(): string {
  try {
    return readFileSync("/etc/os-release", "utf8");
  } catch {
    return "";
  }
}

function installByApt(): void {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  // Another apt may be at work in a machine that just started, and mirrors fail now and then.
  const patience = ["-o", "DPkg::Lock::Timeout=120", "-o", "Acquire::Retries=3"];
  const apt = (...args: string[]) => {
    say(`apt-get ${args.join(" ")}`);
    // stdout is the caller's report; a package manager's progress goes to stderr.
    const { status, error } = spawnSync("apt-get", [...patience, ...args], { env, stdio: ["ignore", 2, 2] });
    if (error) throw error;
    return status;
  };
  // One broken source among many fails the update, and need not be the one that has Chromium.
  if (apt("update") !== 0) say("apt-get update failed; trying with the lists as they are");
  const status = apt("install", "-y", "--no-install-recommends", "chromium");
  if (status !== 0) throw new Error(`apt-get install ended with status ${status}`);
}

async function installByDownload(): Promise<void> {
  const platform = detectBrowserPlatform();
  if (!platform) throw new Error(`there are no builds for ${process.platform} ${process.arch}`);
  const cacheDir = puppeteerCacheDir({ env: process.env, home: homedir(), platform: process.platform });
  const buildId = await resolveBuildId(Browser.CHROME, platform, "stable");
  say(`downloading Chrome ${buildId} into ${cacheDir}`);
  const debian = process.platform === "linux" && /debian/.test(linuxRelease());
  // Chrome needs system libraries that a bare container lacks; only root may add them.
  const installDeps = debian && process.getuid?.() === 0;
  await install({ browser: Browser.CHROME, buildId, platform, cacheDir, installDeps });
}

/** A download on a bare Linux may lack shared libraries. Elsewhere `--version` opens a window or prints nothing. */
function checkThatItStarts(executablePath: string): void {
  if (process.platform !== "linux") return;
  const { status, stderr, error } = spawnSync(executablePath, ["--version"], { encoding: "utf8", timeout: 30_000 });
  if (error) throw error;
  if (status !== 0) throw new Error(`${executablePath} does not start: ${stderr.trim().split("\n")[0]}`);
}
