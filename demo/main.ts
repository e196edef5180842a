/** The live page: trains while it is looked at. */

import { writeCheckpoint } from "../src/checkpoint/index.ts";
import type { Figures } from "../src/index.ts";
import { Charts, short } from "./charts.ts";
import { type Change, Controls } from "./controls.ts";
import { openDevice } from "./device.ts";
import { htmlTable } from "./html-table.ts";
import { GROUP_HEADINGS, groupRows, memoryOf, TENSOR_HEADINGS, tensorRows } from "./mnist/figures-table.ts";
import { addFigures, addRecords, addTest, emptyHistory, mostDecayed } from "./mnist/history.ts";
import { loadMnist, type Mnist } from "./mnist/idx.ts";
import { type Evaluation, Trainer } from "./mnist/trainer.ts";
import { drawUnits, showMistakes } from "./pictures.ts";

/** Redrawing more often would take the processor from whoever computes, where that is the processor too. */
const REDRAW_MS = 250;
const PICTURE_MS = 1500;
const MISTAKES = 36;
const TILES = ["Epoch", "Test accuracy", "Training loss", "Images / s", "Learning rate", "Memory, steps"] as const;
/** Tests in an epoch. */
const TESTS = 2;

const find = <E extends HTMLElement>(id: string) => document.getElementById(id) as E;
const notice = find("notice");

function fail(error: unknown): void {
  notice.textContent = error instanceof Error ? error.message : String(error);
  notice.className = "failure";
  console.error(error);
}

class LivePage {
  readonly #mnist: Mnist;
  readonly #trainer: Trainer;
  readonly #controls: Controls;
  readonly #charts: Charts;
  readonly #tiles = new Map<string, HTMLElement>();
  readonly #runButton = find<HTMLButtonElement>("run");
  #history = emptyHistory();
  #figures: Figures | undefined;
  #test: Evaluation | undefined;
  #imagesPerSecond = 0;
  #running = true;
  /** What waits for the end of the chunks under way. */
  #wish: "optimizer" | "reset" | undefined;
  #wake = () => {};
  #picturesDue = 0;
  #drawn = 0;

  private constructor(mnist: Mnist, trainer: Trainer, controls: Controls) {
    this.#mnist = mnist;
    this.#trainer = trainer;
    this.#controls = controls;
    find("main").hidden = false;
    this.#charts = new Charts(find("charts"), {
      tensors: ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"],
      accuracyFrom: 0.85,
    });
    this.#makeTiles();
    this.#makeButtons();
    this.#listen(0);
    this.#showMistakes();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      void this.#drawPictures();
      this.#showMistakes();
    });
  }

  static async open(device: GPUDevice, mnist: Mnist): Promise<LivePage> {
    let page: LivePage | undefined;
    const controls = new Controls(find("controls"), (change) => page?.change(change));
    const choice = controls.choice(Trainer.stepsPerEpoch(mnist), 0);
    page = new LivePage(mnist, await Trainer.create(device, mnist, 1, choice), controls);
    return page;
  }

  get #totalSteps(): number {
    return this.#controls.epochs * this.#trainer.stepsPerEpoch;
  }

  /** Trains, tests and waits, for as long as the page is open. */
  async run(): Promise<never> {
    const trainer = this.#trainer;
    for (;;) {
      if (this.#wish) await this.#grant(this.#wish);
      if (!this.#running || trainer.steps >= this.#totalSteps) {
        this.#draw(true);
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      const nextTest = this.#nextTest();
      let begin = performance.now();
      for await (const records of trainer.train(nextTest - trainer.steps, () => this.#running && !this.#wish)) {
        addRecords(this.#history, records);
        const now = performance.now();
        const images = records.reduce((sum, { count }) => sum + count, 0);
        const rate = (1000 * images) / (now - begin);
        begin = now;
        this.#imagesPerSecond = this.#imagesPerSecond ? 0.9 * this.#imagesPerSecond + 0.1 * rate : rate;
        if (now >= this.#picturesDue) await this.#drawPictures();
        if (now - this.#drawn >= REDRAW_MS) {
          // A turn for the browser to paint and to hear clicks, however fast the GPU is.
          await new Promise(requestAnimationFrame);
          this.#draw();
        }
      }
      if (trainer.steps === nextTest) {
        await trainer.optimizer.flush();
        this.#test = await trainer.evaluate();
        addTest(this.#history, trainer.steps, this.#test);
        this.#showMistakes();
        await this.#drawPictures();
        this.#draw(true);
      }
    }
  }

  /** The step at the end of the present epoch, or of a part of it. */
  #nextTest(): number {
    const { steps, stepsPerEpoch } = this.#trainer;
    const part = Math.floor(((steps % stepsPerEpoch) * TESTS) / stepsPerEpoch) + 1;
    const next = steps - (steps % stepsPerEpoch) + Math.ceil((part * stepsPerEpoch) / TESTS);
    return Math.min(next, this.#totalSteps);
  }

  /** A knob has been turned. */
  change(change: Change): void {
    const { optimizer, stepsPerEpoch } = this.#trainer;
    if (change === "lr") optimizer.set({ lr: this.#controls.schedule(stepsPerEpoch, this.#offset) });
    else if (change === "weightDecay") optimizer.setGroup("decay", { weightDecay: this.#controls.weightDecay });
    else this.#wish ??= "optimizer";
    find("hint").textContent =
      change === "optimizer" ? "A new optimizer goes on from these weights; its moments begin at zero." : "";
    this.#wake();
  }

  async #grant(wish: "optimizer" | "reset"): Promise<void> {
    this.#wish = undefined;
    const trainer = this.#trainer;
    if (wish === "reset") {
      this.#history = emptyHistory();
      this.#figures = undefined;
      this.#test = undefined;
      this.#picturesDue = 0;
      await trainer.restart(this.#controls.choice(trainer.stepsPerEpoch, 0));
      this.#showMistakes();
    } else {
      await trainer.replaceOptimizer(this.#controls.choice(trainer.stepsPerEpoch, trainer.steps));
    }
    this.#listen(trainer.steps);
  }

  /** Step of the run at which the present optimizer began. */
  #offset = 0;

  #listen(offset: number): void {
    this.#offset = offset;
    this.#trainer.optimizer.on("figures", (figures) => {
      this.#figures = figures;
      addFigures(this.#history, offset + figures.step, figures);
    });
  }

  #makeButtons(): void {
    this.#runButton.addEventListener("click", () => {
      if (this.#trainer.steps >= this.#totalSteps) this.#wish = "reset";
      this.#running = this.#wish === "reset" || !this.#running;
      this.#wake();
      this.#draw();
    });
    find("reset").addEventListener("click", () => {
      this.#wish = "reset";
      this.#running = true;
      this.#wake();
    });
    const save = find<HTMLButtonElement>("save");
    save.addEventListener("click", async () => {
      save.disabled = true;
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([writeCheckpoint(await this.#trainer.optimizer.stateDict())]));
      link.download = `mnist-mlp-step-${this.#trainer.steps}.safetensors`;
      link.click();
      URL.revokeObjectURL(link.href);
      save.disabled = false;
    });
  }

  #makeTiles(): void {
    for (const name of TILES) {
      const tile = find("tiles").appendChild(document.createElement("div"));
      tile.className = "tile";
      tile.appendChild(document.createElement("span")).textContent = name;
      this.#tiles.set(name, tile.appendChild(document.createElement("b")));
    }
  }

  #draw(atOnce = false): void {
    this.#drawn = performance.now();
    const { steps, stepsPerEpoch } = this.#trainer;
    const done = steps >= this.#totalSteps;
    this.#runButton.textContent = done ? "Train again" : this.#running ? "Pause" : "Go on";
    const show = (name: (typeof TILES)[number], text: string) => {
      this.#tiles.get(name)!.textContent = text;
    };
    const recent = this.#history.steps.loss.slice(-30);
    const mean = recent.reduce((sum, loss) => sum + loss, 0) / recent.length;
    show("Epoch", `${(steps / stepsPerEpoch).toFixed(1)} of ${this.#controls.epochs}`);
    show("Test accuracy", this.#test ? `${(100 * this.#test.accuracy).toFixed(2)} %` : "soon");
    show("Training loss", recent.length ? mean.toFixed(4) : "");
    show("Images / s", this.#imagesPerSecond ? Math.round(this.#imagesPerSecond).toLocaleString("en") : "");
    show("Learning rate", this.#figures ? short(mostDecayed(this.#figures).lr) : "");
    show("Memory, steps", this.#figures ? memoryOf(mostDecayed(this.#figures)).replace(" steps", "") : "");
    this.#charts.update(this.#history);
    if (this.#figures) {
      find("tensors").replaceChildren(htmlTable(TENSOR_HEADINGS, tensorRows(this.#figures, this.#history)));
      find("groups").replaceChildren(htmlTable(GROUP_HEADINGS, groupRows(this.#figures)));
      find("decay-words").textContent = decayInWords(this.#figures, this.#totalSteps);
    }
    if (atOnce) this.#drawn = 0;
  }

  async #drawPictures(): Promise<void> {
    const weights = await this.#trainer.optimizer.readParam("fc1.weight");
    drawUnits(find<HTMLCanvasElement>("units"), weights, 16);
    this.#picturesDue = performance.now() + PICTURE_MS;
  }

  #showMistakes(): void {
    const { test } = this.#mnist;
    const parent = find("wrong");
    if (!this.#test) {
      parent.replaceChildren();
      find("wrong-count").textContent = "comes with the first test";
      return;
    }
    const count = showMistakes(parent, test, this.#test.predicted, MISTAKES);
    find("wrong-count").textContent = `${count} of ${test.count.toLocaleString("en")} test images`;
  }
}

/** What the decay amounts to. */
function decayInWords(figures: Figures, totalSteps: number): string {
  const { decayFraction, decayMemory } = mostDecayed(figures);
  if (decayFraction === null) {
    return "Coupled decay joins the gradient before the moments: what it takes is different for every weight.";
  }
  if (decayFraction === 0 || decayMemory === null) return "";
  const memory = Math.round(decayMemory).toLocaleString("en");
  const verdict =
    decayMemory > 3 * totalSteps
      ? "far longer than this run: the decay does next to nothing"
      : decayMemory <= 200
        ? "so short that the decay fights the learning"
        : "within the reach of this run: the decay shapes the weights";
  return `At this moment a weight forgets where it began in about ${memory} steps, ${verdict}.`;
}

async function main(): Promise<void> {
  const { device, name } = await openDevice();
  device.lost.then(({ reason, message }) => {
    if (reason !== "destroyed")
      fail(new Error(`The GPU was lost (${message || reason}). Reload the page to begin again.`));
  });
  const mnist = await loadMnist(`${import.meta.env.BASE_URL}mnist/`, (fraction) => {
    notice.textContent = `Loading MNIST ... ${Math.round(100 * fraction)} %`;
  });
  notice.textContent = "Compiling kernels ...";
  const page = await LivePage.open(device, mnist);
  notice.textContent = `Running on ${name}.`;
  await page.run();
}

main().catch(fail);
