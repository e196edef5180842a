/** Save and Open of the live page. */
import { type FitCheckpoint, readFitCheckpoint, writeFitCheckpoint } from "../src/nn/index.ts";

/** A file of a training. */
export interface OpenedFile {
  readonly name: string;
  readonly checkpoint: FitCheckpoint;
}

/** A click saves what `take` gives, as a file whose name begins so. */
export function makeSaveButton(button: HTMLButtonElement, name: string, take: () => Promise<FitCheckpoint>): void {
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      const checkpoint = await take();
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([writeFitCheckpoint(checkpoint)]));
      link.download = `${name}-step-${checkpoint.step}.safetensors`;
      link.click();
      URL.revokeObjectURL(link.href);
    } finally {
      button.disabled = false;
    }
  });
}

/** A click asks for a file. `opened` gets what is in it, `refused` why it is none. */
export function makeOpenButton(
  button: HTMLButtonElement,
  input: HTMLInputElement,
  opened: (file: OpenedFile) => void,
  refused: (reason: string) => void,
): void {
  button.addEventListener("click", () => input.click());
  input.addEventListener("change", async () => {
    const file = input.files?.[0];
    // The same file may be chosen again.
    input.value = "";
    if (!file) return;
    try {
      opened({ name: file.name, checkpoint: readFitCheckpoint(await file.arrayBuffer()) });
    } catch (error) {
      refused(`${file.name}: ${error instanceof Error ? error.message : error}`);
    }
  });
}
