// The page of test/cpu/run-page.test.ts: does what its parameter says, well or badly.
import { pageMain } from "./page.ts";

async function device(): Promise<GPUDevice> {
  const adapter = await navigator.gpu.requestAdapter();
  return adapter!.requestDevice();
}

await pageMain<{ deed: string; numbers: number[] }, unknown>(async ({ parameters: { deed, numbers }, send }) => {
  switch (deed) {
    case "succeed":
      await send({ numbers: new Float32Array(numbers) });
      await send("second");
      await (await device()).queue.onSubmittedWorkDone();
      return {
        numbers,
        isolated: crossOriginIsolated,
        text: await (await fetch("/data/text.json")).json(),
        bytes: new Uint8Array(await (await fetch("/data/bytes")).arrayBuffer()),
      };
    case "reject":
      throw new Error("no luck");
    case "throw later":
      setTimeout(() => {
        throw new Error("too late");
      });
      return new Promise(() => {});
    case "reject later":
      Promise.reject(new Error("nobody listens"));
      return new Promise(() => {});
    case "complain":
      console.error("something is wrong");
      return 1;
    case "break a GPU rule": {
      const faulty = await device();
      faulty.createBuffer({ size: 16, usage: 0xffff });
      await faulty.queue.onSubmittedWorkDone();
      return 1;
    }
    default:
      return new Promise(() => {});
  }
});
