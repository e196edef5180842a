/** The knobs: what the optimizer is, and which changes need a new one. They begin as the example has it. */
import GUI from "lil-gui";
import {
  adam,
  adamw,
  type DecayMode,
  decayGroups,
  lion,
  type Rule,
  rmsprop,
  type Schedule,
  sgd,
} from "../src/index.ts";
import { short } from "./charts.ts";
import type { Recipe } from "./examples/example.ts";
import type { LiveChoice } from "./live-training.ts";

/** A rule to choose. `lr`: what suits it, as a multiple of what suits AdamW. */
interface RuleEntry {
  readonly rule: () => Rule;
  readonly lr: number;
  readonly decayMode: DecayMode;
}

const RULES = {
  AdamW: { rule: () => adamw(), lr: 1, decayMode: "decoupled" },
  Adam: { rule: () => adam(), lr: 1, decayMode: "coupled" },
  "SGD, momentum": { rule: () => sgd({ momentum: 0.9 }), lr: 10, decayMode: "coupled" },
  "SGD, Nesterov": { rule: () => sgd({ momentum: 0.9, nesterov: true }), lr: 10, decayMode: "coupled" },
  Lion: { rule: () => lion(), lr: 0.1, decayMode: "decoupled" },
  RMSprop: { rule: () => rmsprop(), lr: 0.3, decayMode: "coupled" },
} satisfies Record<string, RuleEntry>;

type RuleName = keyof typeof RULES;

const MODES: DecayMode[] = ["coupled", "decoupled", "scheduled", "independent", "proximal"];

/** Below this power of ten a weight decay is none. */
const NO_DECAY = -5;

/** What keys do to an exponent: a step of about 12 %, or a factor of 10. */
const KEYS: Readonly<Record<string, number>> = {
  ...{ ArrowRight: 0.05, ArrowUp: 0.05, ArrowLeft: -0.05, ArrowDown: -0.05 },
  ...{ PageUp: 1, PageDown: -1, Home: Number.NEGATIVE_INFINITY, End: Number.POSITIVE_INFINITY },
};

/** What a change of a knob asks for. */
export type Change = "lr" | "weightDecay" | "optimizer";

/** What the knobs begin with. */
export interface ControlsSubject {
  /** The example, for a run of so many steps. */
  readonly recipe: (steps: number) => Recipe;
  readonly stepsPerEpoch: number;
  readonly epochs: number;
}

interface Values {
  rule: RuleName;
  /** Powers of ten: these are numbers whose magnitude matters. */
  lr: number;
  weightDecay: number;
  schedule: "as it is" | "constant";
  epochs: number;
  decayMode: DecayMode;
  clip: number;
}

export class Controls {
  readonly #subject: ControlsSubject;
  /** The highest lr of the example's schedule. */
  readonly #peak: number;
  readonly #values: Values;

  constructor(parent: HTMLElement, subject: ControlsSubject, onChange: (change: Change) => void) {
    this.#subject = subject;
    const { optimizer } = subject.recipe(this.#steps(subject.epochs));
    const own = ruleOf(optimizer.rule);
    this.#peak = peakOf(scheduleOf(optimizer.lr), this.#steps(subject.epochs));
    const decay = Math.max(
      numberOf(optimizer.weightDecay),
      ...(optimizer.groups ?? []).map((g) => numberOf(g.weightDecay)),
    );
    const values: Values = {
      rule: own,
      lr: Math.log10(this.#peak),
      weightDecay: decay > 0 ? Math.log10(decay) : NO_DECAY,
      schedule: "as it is",
      epochs: subject.epochs,
      decayMode: optimizer.decayMode ?? RULES[own].decayMode,
      clip: optimizer.clip?.globalNorm ?? 0,
    };
    this.#values = values;
    const gui = new GUI({ container: parent, title: "Optimizer" });
    gui.add(values, "rule", Object.keys(RULES)).onChange((name: RuleName) => {
      // What is right for one rule is far off for another.
      lr.setValue(Math.log10((this.#peak * RULES[name].lr) / RULES[own].lr));
      decayMode.setValue(RULES[name].decayMode);
      onChange("optimizer");
    });
    const lr = gui.add(values, "lr", -5, 0, 0.01);
    showPower(lr, "learning rate", Number.NEGATIVE_INFINITY, () => onChange("lr"));
    gui.add(values, "schedule", ["as it is", "constant"]).onChange(() => onChange("lr"));
    gui.add(values, "epochs", 1, Math.max(20, 2 * subject.epochs), 1).onChange(() => onChange("lr"));
    const weightDecay = gui.add(values, "weightDecay", NO_DECAY, 1, 0.01);
    showPower(weightDecay, "weight decay", NO_DECAY, () => onChange("weightDecay"));
    const decayMode = gui
      .add(values, "decayMode", MODES)
      .name("decay mode")
      .onChange(() => onChange("optimizer"));
    gui
      .add(values, "clip", { "no clipping": 0, "norm 0.1": 0.1, "norm 0.5": 0.5, "norm 1": 1, "norm 5": 5 })
      .name("clip")
      .onFinishChange(() => onChange("optimizer"));
    if (innerWidth < 900) gui.close();
  }

  /** Steps of the whole run. */
  get totalSteps(): number {
    return this.#steps(this.#values.epochs);
  }

  get epochs(): number {
    return this.#values.epochs;
  }

  get weightDecay(): number {
    return power(this.#values.weightDecay, NO_DECAY);
  }

  /** lr by step, for an optimizer that began at step `offset` of the run: the example's schedule, stretched to the knobs. */
  schedule(offset: number): Schedule {
    const { lr, schedule } = this.#values;
    if (schedule === "constant") return () => 10 ** lr;
    const own = scheduleOf(this.#subject.recipe(this.totalSteps).optimizer.lr);
    const factor = 10 ** lr / this.#peak;
    // The knob shows two digits: where it has not been turned, nothing is to change.
    return Math.abs(factor - 1) < 1e-9 ? (step) => own(step + offset) : (step) => factor * own(step + offset);
  }

  /** The optimizer as the knobs say. */
  choice(offset: number): LiveChoice {
    const { rule, decayMode, clip, lr } = this.#values;
    const { model, optimizer } = this.#subject.recipe(this.totalSteps);
    const { clip: _, ...own } = optimizer;
    return {
      ...own,
      rule: RULES[rule].rule(),
      lr: this.schedule(offset),
      decayMode,
      // `scheduled` is relative to the full lr, not to that of the first step of a warm-up.
      groups: decayGroups(model.params, { weightDecay: this.weightDecay }).map((g) => ({
        ...g,
        referenceLr: 10 ** lr,
      })),
      ...(clip > 0 && { clip: { globalNorm: clip } }),
    };
  }

  #steps(epochs: number): number {
    return epochs * this.#subject.stepsPerEpoch;
  }
}

/** Which of the rules an example's own is. */
function ruleOf(rule: Rule | undefined): RuleName {
  if (!rule) throw new Error("The page has no examples with several rules.");
  const { definition, options } = rule;
  const same = (entry: RuleEntry) => {
    const other = entry.rule();
    return other.definition.name === definition.name && JSON.stringify(other.options) === JSON.stringify(options);
  };
  const found = (Object.keys(RULES) as RuleName[]).find((name) => same(RULES[name]));
  if (!found) throw new Error(`The page has no such rule: ${definition.name} ${JSON.stringify(options)}`);
  return found;
}

function scheduleOf(lr: number | Schedule | undefined): Schedule {
  return typeof lr === "function" ? lr : () => lr ?? 1e-3;
}

function peakOf(schedule: Schedule, steps: number): number {
  let peak = 0;
  for (let step = 0; step < steps; step++) peak = Math.max(peak, schedule(step));
  return peak;
}

function numberOf(weightDecay: number | Schedule | undefined): number {
  return typeof weightDecay === "number" ? weightDecay : 0;
}

/** Lets a controller of a power of ten show the number itself. */
function showPower(controller: ReturnType<GUI["add"]>, label: string, nothing: number, onChange: () => void): void {
  // lil-gui's slider is a plain element: what the box would be for keyboards and screen readers, it has to be.
  const slider = controller.domElement.querySelector<HTMLElement>(".lil-slider")!;
  const { _min: min, _max: max } = controller as unknown as { _min: number; _max: number };
  Object.assign(slider, {
    tabIndex: 0,
    role: "slider",
    ariaLabel: label,
    ariaValueMin: `${min}`,
    ariaValueMax: `${max}`,
  });
  slider.addEventListener("keydown", (event) => {
    const step = KEYS[event.key];
    if (step === undefined) return;
    event.preventDefault();
    controller.setValue(Math.min(max, Math.max(min, controller.getValue() + step)));
  });
  const show = (exponent: number) => {
    const text = short(power(exponent, nothing));
    controller.name(`${label} ${text}`);
    Object.assign(slider, { ariaValueNow: exponent.toFixed(2), ariaValueText: text });
  };
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
