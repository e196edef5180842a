/**
 * Which ReLUs cost nothing: forward as the end of the kernel before, backward as a mask in the kernels behind or before.
 * `y = max(z, 0)` needs only y on the way back: dz = dy where y > 0.
 */
import type { Model, ModelNode } from "./model.ts";
import type { Value } from "./value.ts";

export class Relus {
  readonly #model: Model;
  readonly #nodes: ReadonlyMap<Value, ModelNode>;
  readonly #consumers = new Map<Value, ModelNode[]>();

  constructor(model: Model) {
    this.#model = model;
    this.#nodes = new Map(model.nodes.map((node) => [node.value, node]));
    for (const node of model.nodes) {
      for (const input of node.value.inputs) this.#consumers.set(input, [...(this.#consumers.get(input) ?? []), node]);
    }
  }

  isRelu({ layer }: ModelNode): boolean {
    return layer.kind === "relu";
  }

  /** The value itself, or that of which it is a view. */
  seenThrough(value: Value): Value {
    let held = value;
    while (held.layer?.view) held = held.inputs[0]!;
    return held;
  }

  /** The ReLU that the layer of this value can end with: nothing else wants what was before. */
  fusedInto(value: Value): Value | undefined {
    const [only, ...others] = this.#consumers.get(value) ?? [];
    if (!value.layer?.endsWithRelu || value === this.#model.outputValue) return undefined;
    return only && others.length === 0 && this.isRelu(only) ? only.value : undefined;
  }

  /** This value is a ReLU that the layer before it ends with. */
  isFused(value: Value): boolean {
    const [input] = value.inputs;
    return input !== undefined && this.fusedInto(input) === value;
  }

  /** This value is a ReLU, and every layer behind it gives gradients that are masked already. */
  isMasked(value: Value): boolean {
    const node = this.#nodes.get(value);
    return node !== undefined && this.isRelu(node) && this.#allMask(value);
  }

  /** This value is a ReLU whose mask the layer before it applies. */
  isMaskedByMaker(value: Value): boolean {
    return this.isFused(value) && this.masksItsOutput(value.inputs[0]!);
  }

  /** The layer of this value applies the mask of the ReLU that it ended with. */
  masksItsOutput(value: Value): boolean {
    const relu = this.fusedInto(value);
    return relu !== undefined && value.layer?.masksOutput === true && !this.isMasked(relu);
  }

  #allMask(value: Value): boolean {
    if (value === this.#model.outputValue) return false;
    const consumers = this.#consumers.get(value) ?? [];
    return consumers.every((node) => (node.layer.view ? this.#allMask(node.value) : node.layer.masksInput === true));
  }
}
