/** The live page: trains an example, shows how it goes, and does what its buttons and knobs say. */
import type { Figures } from "../src/index.ts";
import type { Evaluation } from "../src/nn/index.ts";
import { Charts, short } from "./charts.ts";
import { makeOpenButton, makeSaveButton, type OpenedFile } from "./checkpoint-buttons.ts";
import { type Change, Controls } from "./controls.ts";
import { CATALOGUE, type CatalogueEntry, type ExampleName } from "./examples/catalogue.ts";
import { findExample, type Loaded } from "./examples/example.ts";
import { htmlTable } from "./html-table.ts";
import { type LiveSubject, LiveTraining } from "./live-training.ts";
import {
  decayInWords,
  GROUP_HEADINGS,
  groupRows,
  memoryOf,
  TENSOR_HEADINGS,
  tensorRows,
} from "./mnist/figures-table.ts";
import { addFigures, addRecords, addTest, emptyHistory, mostDecayed, plotted } from "./mnist/history.ts";
import { addPanel, openViews, type View } from "./views/view.ts";

/** Redrawing more often would take the processor from whoever computes, where that is the processor too. */
const REDRAW_MS = 250;
/** Pictures are drawn no sooner after one another, and take no more than a part of the time. */
const PICTURE_MS = 1500;
const PICTURE_PAUSE = 5;
/** Tests in an epoch, unless there are many epochs; of a whole run no more than this. */
const TESTS = 2;
const MOST_TESTS = 20;
const SEED = 1;

/** Ends of a run that no knob says. */
export type Limits = Pick<LiveSubject, "maxSteps">;

/** What has come of a run. */
export interface Outcome {
  readonly steps: number;
  /** Of the first and of the last step. */
  readonly first: number;
  readonly last: number;
  readonly test: Evaluation | undefined;
}

const find = <E extends HTMLElement>(id: string) => document.getElementById(id) as E;

export class LivePage {
  readonly #name: ExampleName;
  readonly #entry: CatalogueEntry;
  readonly #network: LiveTraining;
  readonly #controls: Controls;
  readonly #charts: Charts;
  readonly #tiles = new Map<string, HTMLElement>();
  readonly #buttons = { run: find<HTMLButtonElement>("run"), stop: find<HTMLButtonElement>("stop") };
  #views: readonly View[] = [];
  #history = emptyHistory();
  #figures: Figures | undefined;
  #test: (Evaluation & { readonly step: number }) | undefined;
  #samplesPerSecond = 0;
  #running = true;
  #stopping = false;
  /** What waits for the batches under way. */
  #wish: "optimizer" | "reset" | OpenedFile | undefined;
  #wake = () => {};
  #hint = "";
  /** When the page was drawn last while training, and samples since then. */
  #since = 0;
  #samples = 0;
  #picturesDue = 0;
  #drawn = 0;

  private constructor(name: ExampleName, network: LiveTraining, controls: Controls) {
    this.#name = name;
    this.#entry = CATALOGUE[name];
    this.#network = network;
    this.#controls = controls;
    find("main").hidden = false;
    this.#charts = new Charts(find("charts"), {
      tensors: plotted(network.training.optimizer.tensors.map((tensor) => tensor.name)),
      accuracyFrom: this.#entry.accuracyFrom,
    });
    this.#makeTiles();
    this.#makeButtons();
    this.#listen();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.#picturesDue = 0;
      this.#wake();
    });
  }

  static async open(device: GPUDevice, name: ExampleName, loaded: Loaded, limits: Limits): Promise<LivePage> {
    const { recipe } = await findExample(name);
    const { batchSize, epochs } = CATALOGUE[name];
    let page: LivePage | undefined;
    const stepsPerEpoch = Math.ceil(loaded.count / batchSize);
    const controls = new Controls(find("controls"), { recipe, epochs, stepsPerEpoch }, (change) =>
      page?.change(change),
    );
    const subject = { device, loaded, batchSize, seed: SEED, recipe: recipe(controls.totalSteps), ...limits };
    page = new LivePage(name, await LiveTraining.create(subject, controls.choice(0)), controls);
    page.#views = await openViews(name, { network: page.#network, panel: (title) => addPanel(find("views"), title) });
    return page;
  }

  get #steps(): number {
    return this.#network.training.step;
  }

  /** Of the whole run, as far as the knobs say. */
  get #totalSteps(): number {
    return this.#controls.epochs * this.#network.training.stepsPerEpoch;
  }

  get #ended(): boolean {
    return this.#network.training.stopReason !== undefined || this.#steps >= this.#totalSteps;
  }

  /** Trains, tests and waits, until the run has come to an end for the first time. */
  async run(): Promise<Outcome> {
    await this.#draw();
    for (;;) {
      if (this.#wish) await this.#grant(this.#wish);
      if (this.#ended) break;
      if (this.#running) await this.#train();
      else await this.#wait();
    }
    this.#running = false;
    this.#stopping = false;
    if (this.#test?.step !== this.#steps) await this.#evaluate();
    this.#picturesDue = 0;
    await this.#draw();
    const { loss } = this.#history.steps;
    return { steps: this.#steps, first: loss[0]!, last: loss.at(-1)!, test: this.#test };
  }

  /** After an end: until there is something to do again. */
  async #wait(): Promise<void> {
    // Drawing takes its time, and a click in the meantime counts.
    const woken = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    await this.#draw();
    await woken;
  }

  /** Waits for a click or a knob, when {@link run} has come to an end. */
  async goOn(): Promise<void> {
    while (this.#ended && !this.#wish) await this.#wait();
  }

  /** Trains until the next test, or until something is wanted. */
  async #train(): Promise<void> {
    const { training } = this.#network;
    const test = this.#nextTest();
    // It may be another one than was stopped.
    if (this.#stopping) this.#network.stop();
    this.#since = performance.now();
    this.#samples = 0;
    for await (const event of training) {
      if (event.kind === "steps") await this.#arrived(event.records);
      if (!this.#running || this.#wish) return;
      // At the end of an epoch everything has arrived first.
      const arrived = event.kind === "epoch" || this.#steps % training.stepsPerEpoch !== 0;
      if (this.#steps >= test && arrived) break;
    }
    if (this.#steps >= test) await this.#evaluate();
  }

  async #arrived(records: Parameters<typeof addRecords>[1]): Promise<void> {
    addRecords(this.#history, records);
    this.#samples += records.reduce((sum, { count }) => sum + count, 0);
    const now = performance.now();
    if (now - this.#drawn < REDRAW_MS) return;
    // With the time that the page takes to draw itself.
    const rate = (1000 * this.#samples) / (now - this.#since);
    this.#samplesPerSecond = this.#samplesPerSecond ? 0.7 * this.#samplesPerSecond + 0.3 * rate : rate;
    this.#since = now;
    this.#samples = 0;
    // A turn for the browser to paint and to hear clicks, however fast the GPU is.
    await new Promise(requestAnimationFrame);
    await this.#draw();
  }

  /** The step at the end of the present epoch, or of a part of it, or of several. */
  #nextTest(): number {
    const { stepsPerEpoch } = this.#network.training;
    const { epochs } = this.#controls;
    const length =
      TESTS * epochs <= MOST_TESTS ? stepsPerEpoch / TESTS : Math.ceil(epochs / MOST_TESTS) * stepsPerEpoch;
    const next = Math.ceil((Math.floor(this.#steps / length) + 1) * length);
    return Math.min(next, this.#totalSteps);
  }

  async #evaluate(): Promise<void> {
    const { training } = this.#network;
    if (this.#steps === 0) return;
    await training.optimizer.flush();
    const test = await training.evaluate();
    this.#test = { ...test, step: this.#steps };
    addTest(this.#history, this.#steps, test);
    await this.#draw();
  }

  /** A knob has been turned. */
  change(change: Change): void {
    if (change === "optimizer") this.#wish ??= "optimizer";
    else this.#setRates();
    this.#hint = "";
    this.#wake();
  }

  #setRates(): void {
    const { training, offset } = this.#network;
    training.optimizer.set({ lr: this.#controls.schedule(offset) });
    training.optimizer.setGroup("decay", { weightDecay: this.#controls.weightDecay });
  }

  async #grant(wish: "optimizer" | "reset" | OpenedFile): Promise<void> {
    this.#wish = undefined;
    const network = this.#network;
    if (wish === "reset") {
      await network.restart(this.#controls.choice(0));
      this.#forget();
    } else if (typeof wish === "object") {
      try {
        await network.open(wish.checkpoint, (offset) => this.#controls.choice(offset));
        this.#forget();
        this.#hint = `${wish.name} goes on from step ${this.#steps}, with the knobs as they are.`;
      } catch (error) {
        this.#hint = `${wish.name}: ${error instanceof Error ? error.message : error}`;
        return;
      }
    } else {
      await network.replaceOptimizer(this.#controls.choice(this.#steps));
      this.#hint = "A new optimizer goes on from these weights; its moments begin at zero.";
    }
    // What the knobs have said in the meantime.
    this.#setRates();
    this.#listen();
  }

  /** Another run begins. */
  #forget(): void {
    this.#history = emptyHistory();
    this.#figures = undefined;
    this.#test = undefined;
    this.#stopping = false;
    this.#picturesDue = 0;
    this.#hint = "";
  }

  #listen(): void {
    const { training, offset } = this.#network;
    training.optimizer.on("figures", (figures) => {
      if (training !== this.#network.training) return;
      this.#figures = figures;
      addFigures(this.#history, offset + figures.step, figures);
    });
  }

  #makeButtons(): void {
    const click = (id: string, action: () => void) =>
      find(id).addEventListener("click", () => {
        action();
        this.#picturesDue = 0;
        this.#wake();
        this.#drawButtons();
      });
    click("run", () => {
      if (this.#ended) this.#wish = "reset";
      this.#running = this.#wish === "reset" || !this.#running;
    });
    click("stop", () => {
      // The training tells what is under way, and then that it has ended.
      this.#running = true;
      this.#stopping = true;
      this.#network.stop();
    });
    click("reset", () => {
      this.#wish = "reset";
      this.#running = false;
    });
    makeSaveButton(find("save"), this.#name, () => this.#network.training.checkpoint());
    const opened = (file: OpenedFile) => {
      this.#wish = file;
      this.#running = false;
      this.#wake();
    };
    makeOpenButton(find("open"), find("file"), opened, (reason) => {
      this.#hint = reason;
      this.#wake();
    });
  }

  #makeTiles(): void {
    const test = this.#entry.accuracyFrom === undefined ? "Test loss" : "Test accuracy";
    for (const name of ["Epoch", test, "Training loss", "Samples / s", "Learning rate", "Memory, steps"]) {
      const tile = find("tiles").appendChild(document.createElement("div"));
      tile.className = "tile";
      tile.appendChild(document.createElement("span")).textContent = name;
      this.#tiles.set(name, tile.appendChild(document.createElement("b")));
    }
  }

  #drawButtons(): void {
    const { run, stop } = this.#buttons;
    run.textContent = this.#ended ? "Train again" : this.#running ? "Pause" : this.#steps > 0 ? "Go on" : "Start";
    stop.disabled = this.#ended || this.#steps === 0;
  }

  async #draw(): Promise<void> {
    const figures = this.#figures;
    const group = figures && mostDecayed(figures);
    const values: Record<string, string> = {
      Epoch: `${(this.#steps / this.#network.training.stepsPerEpoch).toFixed(1)} of ${this.#controls.epochs}`,
      "Test accuracy": this.#test ? `${(100 * this.#test.accuracy).toFixed(2)} %` : "soon",
      "Test loss": this.#test ? this.#test.loss.toFixed(4) : "soon",
      "Training loss": meanOf(this.#history.steps.loss.slice(-30)),
      "Samples / s": this.#samplesPerSecond ? Math.round(this.#samplesPerSecond).toLocaleString("en") : "",
      "Learning rate": group ? short(group.lr) : "",
      "Memory, steps": group ? memoryOf(group).replace(" steps", "") : "",
    };
    for (const [name, tile] of this.#tiles) tile.textContent = values[name]!;
    this.#drawButtons();
    find("hint").textContent = this.#hint;
    this.#charts.update(this.#history);
    find("tensors").replaceChildren();
    find("groups").replaceChildren();
    if (figures) {
      find("tensors").append(htmlTable(TENSOR_HEADINGS, tensorRows(figures, this.#history)));
      find("groups").append(htmlTable(GROUP_HEADINGS, groupRows(figures)));
    }
    find("decay-words").textContent = figures ? decayInWords(figures, this.#totalSteps) : "";
    const begin = performance.now();
    if (begin >= this.#picturesDue) {
      for (const view of this.#views) await view();
      const end = performance.now();
      this.#picturesDue = end + Math.max(PICTURE_MS, PICTURE_PAUSE * (end - begin));
    }
    this.#drawn = performance.now();
  }
}

function meanOf(values: readonly number[]): string {
  return values.length > 0 ? (values.reduce((sum, value) => sum + value, 0) / values.length).toFixed(4) : "";
}
