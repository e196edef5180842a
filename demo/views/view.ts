/** What there is to look at while an example trains. */
import type { ExampleName } from "../examples/catalogue.ts";
import type { LiveTraining } from "../live-training.ts";

/** A part of the page with a heading. */
export interface Panel {
  readonly body: HTMLElement;
  /** A few words behind the heading. */
  note(text: string): void;
}

/** What a view works with. */
export interface Stage {
  readonly network: LiveTraining;
  panel(title: string): Panel;
}

/** Draws what the network makes of it now. */
export type View = () => Promise<void>;

/** Makes a view, which draws nothing yet. */
export type OpenView = (stage: Stage) => View;

const VIEWS: Readonly<Record<ExampleName, () => Promise<readonly OpenView[]>>> = {
  mlp: async () => [(await import("./units.ts")).units, (await import("./mistakes.ts")).mistakes],
  cnn: async () => [(await import("./mistakes.ts")).mistakes],
  resnet: async () => [(await import("./mistakes.ts")).mistakes],
  autoencoder: async () => [(await import("./reconstructions.ts")).reconstructions],
  regression: async () => [(await import("./picture.ts")).picture],
  charlm: async () => [(await import("./writing.ts")).writing],
};

export async function openViews(name: ExampleName, stage: Stage): Promise<View[]> {
  return (await VIEWS[name]()).map((open) => open(stage));
}

/** A new panel at the end of `parent`. */
export function addPanel(parent: HTMLElement, title: string): Panel {
  const section = document.createElement("section");
  section.className = "panel";
  const heading = section.appendChild(document.createElement("h2"));
  heading.textContent = `${title} `;
  const words = heading.appendChild(document.createElement("span"));
  words.className = "quiet";
  const body = section.appendChild(document.createElement("div"));
  parent.append(section);
  return {
    body,
    note: (text) => {
      words.textContent = text;
    },
  };
}
