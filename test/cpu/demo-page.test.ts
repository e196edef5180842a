/** The demo page: every example trains there, and its buttons and knobs do what they say. */
import type { Browser, Page } from "puppeteer-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { EXAMPLE_NAMES, type ExampleName } from "../../demo/examples/catalogue.ts";
import type { Outcome } from "../../demo/live-page.ts";
import type { PageParameters } from "../../demo/main.ts";
import { fashionRoutes, mnistRoutes } from "../../demo/mnist-files.ts";
import { launchBrowser } from "../browser/launch.ts";
import { type PageServer, runPageIn, servePages } from "../browser/serve.ts";

let browser: Browser;
let server: PageServer;

beforeAll(async () => {
  browser = await launchBrowser();
  server = await servePages({ packages: ["lil-gui", "uplot"], routes: { ...mnistRoutes(), ...fashionRoutes() } });
});

afterAll(async () => {
  await browser?.close();
  await server?.close();
});

interface Visit {
  readonly name: ExampleName;
  readonly width: number;
  readonly parameters: PageParameters;
  /** Runs while the page trains. */
  readonly meanwhile?: (page: Page) => Promise<void>;
  /** Runs when it has ended. */
  readonly ended?: (page: Page) => Promise<void>;
}

async function visit({ name, width, parameters, meanwhile, ended }: Visit): Promise<Outcome> {
  let page: Page;
  let visitor = Promise.resolve();
  let fail: (error: unknown) => void;
  // A visitor who finds something wrong need not wait for the end.
  const failure = new Promise<never>((_, reject) => {
    fail = reject;
  });
  const outcome = runPageIn<Outcome>(browser, server, {
    path: `demo/index.html?example=${name}`,
    parameters,
    timeoutMs: 100_000,
    onPage: async (opened) => {
      page = opened;
      await page.setViewport({ width, height: 800 });
      visitor = meanwhile?.(page) ?? visitor;
      visitor.catch(fail);
    },
    onMessage: async () => {
      await visitor;
      await ended?.(page);
    },
  });
  return Promise.race([outcome, failure]);
}

const textOf = (page: Page, selector: string) => page.$eval(selector, (element) => element.textContent);

/** What must be there to see: for most that is drawn on canvases, and must not be blank. */
const seen = (page: Page) =>
  page.$eval("#views", (views) => {
    const canvases = [...views.querySelectorAll("canvas")];
    const blank = canvases.filter((canvas) => {
      const { data } = canvas.getContext("2d")!.getImageData(0, 0, canvas.width, canvas.height);
      return data.every((byte, k) => byte === data[k % 4]);
    });
    return { canvases: canvases.length, blank: blank.length, text: views.textContent };
  });

const PICTURES: Readonly<Record<ExampleName, { canvases: number; text: RegExp }>> = {
  mlp: { canvases: 2, text: /hidden units.* \d+ of 200 test images/ },
  cnn: { canvases: 1, text: /\d+ of 200 test images/ },
  resnet: { canvases: 1, text: /\d+ of 200 test images.*[A-Z][-a-z]+ as [A-Z][-a-z]+/ },
  autoencoder: { canvases: 28, text: /16 numbers/ },
  regression: { canvases: 2, text: /signal to noise -?\d+\.\d dB/ },
  charlm: { canvases: 0, text: /\d+ of \d+ words are words.*[a-z]{5}/ },
};

// The images are looked at and tested in part: a software adapter takes seconds for all of them.
test.each(EXAMPLE_NAMES)("%s trains, and fits a phone", { timeout: 100_000 }, async (name) => {
  const images = !["regression", "charlm"].includes(name);
  const outcome = await visit({
    ...{ name, width: 390 },
    parameters: { maxSteps: 8, ...(images && { testSamples: 200 }) },
    ended: async (page) => {
      const { canvases, blank, text } = await seen(page);
      expect(canvases).toBeGreaterThanOrEqual(PICTURES[name].canvases);
      expect(blank).toBe(0);
      expect(text).toMatch(PICTURES[name].text);
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(390);
      expect(await textOf(page, "#choice [aria-current]")).toBe(name);
      expect(await textOf(page, "#tensors")).toContain("fc1.weight");
      expect(await textOf(page, "#groups")).toContain("noDecay");
      expect(await textOf(page, "#run")).toBe("Train again");
    },
  });
  expect(outcome.steps).toBe(8);
  expect(outcome.last).toBeLessThan(outcome.first);
  expect(outcome.test!.loss).toBeGreaterThan(0);
});

test("pause, another rule, go on, reset, start, stop", { timeout: 100_000 }, async () => {
  const epoch = (page: Page) => textOf(page, "#tiles b");
  const until = (page: Page, what: string) => page.waitForFunction(what, { timeout: 30_000 });
  const trained = (page: Page) => until(page, "!document.getElementById('stop')?.disabled && tiles.innerText !== ''");
  const outcome = await visit({
    ...{ name: "regression", width: 1280, parameters: {} },
    meanwhile: async (page) => {
      await until(page, "document.getElementById('main')?.hidden === false");
      await trained(page);
      await page.click("#run");
      expect(await textOf(page, "#run")).toBe("Go on");
      await page.select("#controls select", "Lion");
      await until(page, "document.querySelector('#hint').textContent.startsWith('A new optimizer goes on')");
      expect(await textOf(page, "#groups")).toContain("with the gradient");
      const paused = await epoch(page);
      await new Promise((resolve) => setTimeout(resolve, 300));
      expect(await epoch(page)).toBe(paused);
      expect(paused).not.toBe("0.0 of 60");
      await page.click("#run");
      // Lion's decay is decoupled; that of the example's Adam is not.
      await until(page, "!document.querySelector('#groups')?.textContent.includes('with the gradient')");
      expect(await epoch(page)).not.toBe(paused);
      await page.click("#reset");
      await until(page, "document.querySelector('#tiles b').textContent === '0.0 of 60'");
      expect(await textOf(page, "#run")).toBe("Start");
      await page.click("#run");
      await trained(page);
      await until(page, "document.querySelector('#tensors')?.textContent.includes('fc1')");
      await page.click("#stop");
    },
    ended: async (page) => {
      expect(await textOf(page, "#run")).toBe("Train again");
    },
  });
  expect(outcome.last).toBeLessThan(outcome.first);
  expect(outcome.test!.count).toBe(4096);
});

test("what Save gives Open goes on from; another file is refused by name", { timeout: 100_000 }, async () => {
  const epoch = (page: Page) => textOf(page, "#tiles b");
  const until = (page: Page, what: string) => page.waitForFunction(what, { timeout: 30_000 });
  // As the dialog would give it.
  const choose = (page: Page, what: string) =>
    page.evaluate(`{
      const files = new DataTransfer();
      files.items.add(new File([${what}], "run.safetensors"));
      const input = document.getElementById("file");
      input.files = files.files;
      input.dispatchEvent(new Event("change"));
    }`);
  const outcome = await visit({
    ...{ name: "regression", width: 1280, parameters: {} },
    meanwhile: async (page) => {
      await until(page, "document.getElementById('main')?.hidden === false");
      await until(page, "parseFloat(document.querySelector('#tiles b').textContent) >= 1");
      await page.click("#run");
      await page.evaluate(`{
        const make = URL.createObjectURL;
        URL.createObjectURL = (blob) => make.call(URL, (window.saved = blob));
      }`);
      await until(page, "document.querySelector('#run').textContent === 'Go on'");
      await new Promise((resolve) => setTimeout(resolve, 500));
      const saved = await epoch(page);
      await page.click("#save");
      await until(page, "window.saved !== undefined");
      await page.click("#reset");
      await until(page, "document.querySelector('#tiles b').textContent === '0.0 of 60'");
      await choose(page, "'nothing of ours'");
      await until(page, "document.querySelector('#hint').textContent.startsWith('run.safetensors: checkpoint:')");
      await choose(page, "window.saved");
      await until(page, "document.querySelector('#hint').textContent.startsWith('run.safetensors goes on from step')");
      expect(await epoch(page)).toBe(saved);
      expect(await textOf(page, "#run")).toBe("Go on");
      // The state of Adam is no state of Lion.
      await page.select("#controls select", "Lion");
      await until(page, "document.querySelector('#hint').textContent.startsWith('A new optimizer')");
      await choose(page, "window.saved");
      await until(page, "document.querySelector('#hint').textContent.includes('rule must be lion')");
      expect(await epoch(page)).toBe(saved);
      await page.focus("#controls .lil-slider");
      const before = await page.$eval("#controls .lil-slider", (slider) => slider.ariaValueText);
      await page.keyboard.press("PageDown");
      const after = await page.$eval("#controls .lil-slider", (slider) => slider.ariaValueText);
      expect(Number(after)).toBeCloseTo(Number(before) / 10, 5);
      await page.click("#run");
      await until(page, `document.querySelector('#tiles b').textContent !== '${saved}'`);
      await page.click("#stop");
    },
  });
  expect(outcome.test!.count).toBe(4096);
});
