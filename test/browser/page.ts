import { decode, encode } from "./wire.ts";

/** What runPage() puts into the page: one call to Node and back, both as wire text. */
export type CallNode = (kind: "parameters" | "message" | "result" | "failure", text: string) => Promise<string>;

/** The name under which it stands on globalThis. */
export const CALL_NODE = "__callNode";

/** What a page's main function gets from Node. */
export interface PageContext<P> {
  /** The value of `parameters` given to runPage(). */
  parameters: P;
  /** Hands a plain value to runPage()'s `onMessage`; resolves when that has run, so a page cannot outrun Node. */
  send(message: unknown): Promise<void>;
}

/**
 * The entry of a page that runPage() opens: runs `main`, whose value (or error) becomes that of runPage().
 * Without Node (the page was opened by hand) messages and the result go to the console.
 *
 * @param whenOpenedByHand - the parameters in that case
 */
export async function pageMain<P, R>(
  main: (context: PageContext<P>) => Promise<R> | R,
  whenOpenedByHand?: P,
): Promise<void> {
  const call = (globalThis as Record<string, unknown>)[CALL_NODE] as CallNode | undefined;
  const tell: CallNode =
    call ??
    (async (kind, text) => {
      if (kind === "parameters") return encode(whenOpenedByHand);
      console[kind === "failure" ? "error" : "log"](kind, decode(text));
      return "null";
    });
  try {
    const parameters = decode(await tell("parameters", "null")) as P;
    const result = await main({
      parameters,
      send: async (message) => {
        await tell("message", encode(message));
      },
    });
    await tell("result", encode(result));
  } catch (error) {
    await tell("failure", encode(error instanceof Error ? (error.stack ?? error.message) : String(error)));
  }
}
