/** The knobs: what the optimizer is, and which changes need a new one. */
import GUI from "lil-gui";
import { adam, adamw, type DecayMode, type Rule, type Schedule, sgd } from "../src/index.ts";
import { short } from "./charts.ts";
import { CLIP_NORM, EPOCHS, PEAK_LR, WEIGHT_DECAY } from "./mnist/recipe.ts";
import { groupsFor, warmCosine } from "./mnist/setup.ts";
import type { OptimizerChoice } from "./mnist/trainer.ts";

type RuleName = "adamw" | "adam" | "sgd";

const RULES: Record<RuleName, { rule: () => Rule; lr: number; decayMode: DecayMode }> = {
  adamw: { rule: () => adamw(), lr: PEAK_LR, decayMode: "decoupled" },
  adam: { rule: () => adam(), lr: PEAK_LR, decayMode: "coupled" },
  sgd: { rule: () => sgd({ momentum: 0.9 }), lr: 0.05, decayMode: "coupled" },
};

/** Below this power of ten a weight decay is none. */
const NO_DECAY = -5;

/** What a change of a knob asks for. */
export type Change = "lr" | "weightDecay" | "optimizer";

export class Controls {
  readonly #values = {
    rule: "adamw" as RuleName,
    // Powers of ten: these are numbers whose magnitude matters.
    lr: Math.log10(PEAK_LR),
    schedule: "warm-up, cosine",
    epochs: EPOCHS,
    weightDecay: Math.log10(WEIGHT_DECAY),
    decayMode: "decoupled" as DecayMode,
    clip: CLIP_NORM,
  };

  constructor(parent: HTMLElement, onChange: (change: Change) => void) {
    const values = this.#values;
    const gui = new GUI({ container: parent, title: "Optimizer" });
    gui.add(values, "rule", { AdamW: "adamw", Adam: "adam", "SGD, momentum 0.9": "sgd" }).onChange((name: RuleName) => {
      // What is right for one rule is far off for another.
      lr.setValue(Math.log10(RULES[name].lr));
      decayMode.setValue(RULES[name].decayMode);
      onChange("optimizer");
    });
    const lr = gui.add(values, "lr", -5, 0, 0.01);
    showPower(lr, "learning rate", Number.NEGATIVE_INFINITY, () => onChange("lr"));
    gui.add(values, "schedule", ["warm-up, cosine", "constant"]).onChange(() => onChange("lr"));
    gui.add(values, "epochs", 1, 20, 1).onChange(() => onChange("lr"));
    const weightDecay = gui.add(values, "weightDecay", NO_DECAY, 1, 0.01);
    showPower(weightDecay, "weight decay", NO_DECAY, () => onChange("weightDecay"));
    const modes: DecayMode[] = ["coupled", "decoupled", "scheduled", "independent", "proximal"];
    const decayMode = gui
      .add(values, "decayMode", modes)
      .name("decay mode")
      .onChange(() => onChange("optimizer"));
    gui
      .add(values, "clip", { "no clipping": 0, "norm 0.1": 0.1, "norm 0.5": 0.5, "norm 1": 1, "norm 5": 5 })
      .name("clip")
      .onFinishChange(() => onChange("optimizer"));
    if (innerWidth < 900) gui.close();
  }

  get epochs(): number {
    return this.#values.epochs;
  }

  get weightDecay(): number {
    return power(this.#values.weightDecay, NO_DECAY);
  }

  /** lr by step of the run, for an optimizer that began at step `offset` of it. */
  schedule(stepsPerEpoch: number, offset: number): Schedule {
    const lr = 10 ** this.#values.lr;
    if (this.#values.schedule === "constant") return () => lr;
    const schedule = warmCosine(lr, this.#values.epochs * stepsPerEpoch);
    return (step) => schedule(step + offset);
  }

  /** The optimizer as the knobs say. */
  choice(stepsPerEpoch: number, offset: number): OptimizerChoice {
    const { rule, decayMode, clip } = this.#values;
    return {
      rule: RULES[rule].rule(),
      lr: this.schedule(stepsPerEpoch, offset),
      decayMode,
      // `scheduled` is relative to the full lr, not to that of the first step of the warm-up.
      groups: groupsFor(this.weightDecay).map((group) => ({ ...group, referenceLr: 10 ** this.#values.lr })),
      ...(clip > 0 ? { clip: { globalNorm: clip } } : {}),
    };
  }
}

/** Lets a controller of a power of ten show the number itself. */
function showPower(controller: ReturnType<GUI["add"]>, label: string, nothing: number, onChange: () => void): void {
  const show = (exponent: number) => controller.name(`${label} ${short(power(exponent, nothing))}`);
  controller.onChange((exponent: number) => {
    show(exponent);
    onChange();
  });
  show(controller.getValue());
  // The number in the box would be the exponent.
  controller.domElement.querySelector("input")?.remove();
}

function power(exponent: number, nothing: number): number {
  return exponent <= nothing ? 0 : 10 ** exponent;
}
