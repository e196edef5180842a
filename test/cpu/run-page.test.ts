import type { Browser } from "puppeteer-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { launchBrowser } from "../browser/launch.ts";
import { type PageOptions, type PageServer, runPage, runPageIn, servePages } from "../browser/serve.ts";
import { decode, encode } from "../browser/wire.ts";

const NUMBERS = [0, -0, 1.5, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];

let browser: Browser;
let server: PageServer;

beforeAll(async () => {
  browser = await launchBrowser();
  server = await servePages({
    routes: { "/data/text.json": () => '{"a":1}', "/data/bytes": () => new Uint8Array([0, 255, 7]) },
  });
});

afterAll(async () => {
  await browser?.close();
  await server?.close();
});

const options = (deed: string): PageOptions => ({
  path: "test/browser/run-page-fixture.ts",
  parameters: { deed, numbers: NUMBERS },
  onConsole: () => {},
  timeoutMs: 30_000,
});

const run = (deed: string, more: Partial<PageOptions> = {}) =>
  runPageIn(browser, server, { ...options(deed), ...more });

test("a page gets parameters and files, sends messages in order and returns a value", async () => {
  const messages: unknown[] = [];
  const result = await run("succeed", {
    onMessage: async (message) => {
      if (messages.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
      messages.push(message);
    },
  });
  expect(messages).toEqual([{ numbers: NUMBERS }, "second"]);
  expect(result).toEqual({ numbers: NUMBERS, isolated: true, text: { a: 1 }, bytes: [0, 255, 7] });
});

test.each([
  ["reject", "no luck"],
  ["throw later", "too late"],
  ["reject later", "nobody listens"],
  ["complain", "something is wrong"],
  ["break a GPU rule", "GPUValidationError"],
])("a page that does this fails: %s", async (deed, message) => {
  await expect(run(deed)).rejects.toThrow(message);
});

test("a page that is never done fails at its time limit", async () => {
  await expect(run("nothing", { timeoutMs: 1_500 })).rejects.toThrow("not done after 1.5 s");
});

test("a module that does not exist fails at once", async () => {
  await expect(run("", { path: "test/browser/nowhere.ts" })).rejects.toThrow("status 404");
});

test("an error in onMessage is the page's", async () => {
  const onMessage = () => {
    throw new Error("not what was asked for");
  };
  await expect(run("succeed", { onMessage })).rejects.toThrow("not what was asked for");
});

test("runPage brings a server and a browser, and takes them away", async () => {
  let opened: Browser | undefined;
  const onPage: PageOptions["onPage"] = (_, own) => {
    opened = own;
  };
  const failing = runPage({ ...options("complain"), onPage });
  await expect(failing).rejects.toThrow("something is wrong");
  expect(opened!.connected).toBe(false);
  expect(browser.connected).toBe(true);
});

test("the wire keeps every number and nested values", () => {
  const value = { a: [{ b: NUMBERS }], c: "text", d: null, e: true };
  expect(decode(encode(value))).toEqual(value);
  expect(decode(encode(new Float64Array(NUMBERS)))).toEqual(NUMBERS);
  expect(decode(encode(undefined))).toBeNull();
});
