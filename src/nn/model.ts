/** A model: its layers in the order of evaluation, and the tensors that they have, by the names that PyTorch would give them. */

import { checkNumber } from "../engine/checks.ts";
import type { ArenaParam } from "../engine/options.ts";
import { OptionError } from "../errors.ts";
import { quadsOf } from "./activation.ts";
import type { BufferDef, ElementKind, Layer, ParamDef } from "./layer.ts";
import { randomStream } from "./random.ts";
import { type Shape, sameShape, showShape, sizeOf } from "./shape.ts";
import type { Value } from "./value.ts";

/** A tensor of a model. */
export interface ModelTensor {
  /** `conv1.weight` */
  readonly name: string;
  readonly shape: Shape;
}

/** A layer of the model, applied to values. */
export interface ModelNode {
  readonly value: Value;
  readonly layer: Layer;
  /** Full names of parameters and buffers, by the layer's own names for them. */
  readonly params: Readonly<Record<string, string>>;
  readonly buffers: Readonly<Record<string, string>>;
}

/** Made by `sequential` and `graph`. */
export class Model {
  /** Shape of one sample. */
  readonly input: Shape;
  readonly output: Shape;
  /** What the input consists of: tokens where an embedding reads it. */
  readonly inputKind: ElementKind;
  /** Tokens in the input are below this: what its embeddings know. */
  readonly vocabulary: number;
  /** Parameters, in the order of the layers; a tied one stands once. */
  readonly params: readonly ModelTensor[];
  /** Running statistics and the like. */
  readonly buffers: readonly (ModelTensor & BufferDef)[];
  /** In an order in which every layer comes after what it needs. */
  readonly nodes: readonly ModelNode[];
  readonly inputValue: Value;
  readonly outputValue: Value;
  readonly #defs: ReadonlyMap<string, ParamDef>;

  /** @throws {OptionError} for ties that do not fit, or an output that does not depend on the input. */
  constructor(input: Value, output: Value) {
    const values = sorted(output);
    if (!values.includes(input) || input === output)
      throw new OptionError("graph", "build", "must make its output from the input", output.name);
    this.input = input.shape;
    this.output = output.shape;
    this.inputValue = input;
    this.outputValue = output;
    const layers = values.filter((value) => value !== input);
    const names = new Map(layers.map(({ layer, name }) => [layer!, name]));
    const defs = new Map<string, ParamDef>();
    const buffers = new Map<string, BufferDef>();
    const resolve = (value: Value): ModelNode => {
      const { params = {}, buffers: own = {} } = value.inferred;
      const named = Object.entries(params).map(([local, def]) => {
        const owner = def.tied ? names.get(def.tied.layer) : value.name;
        if (owner === undefined)
          throw new OptionError(value.name, local, "must be tied to a layer of the model", def.tied?.layer.kind);
        return [local, `${owner}.${def.tied?.name ?? local}`, def] as const;
      });
      for (const [, name, def] of named) if (!def.tied) addOnce(defs, name, def);
      for (const [local, def] of Object.entries(own)) addOnce(buffers, `${value.name}.${local}`, def);
      return {
        value,
        layer: value.layer!,
        params: Object.fromEntries(named.map(([local, name]) => [local, name])),
        buffers: Object.fromEntries(Object.keys(own).map((local) => [local, `${value.name}.${local}`])),
      };
    };
    this.nodes = layers.map(resolve);
    for (const { value, params } of this.nodes) checkTies(value, params, defs);
    this.#defs = defs;
    this.params = [...defs].map(([name, { shape }]) => ({ name, shape }));
    this.buffers = [...buffers].map(([name, def]) => ({ name, ...def }));
    this.inputKind = inputKindOf(this.nodes, input);
    const readers = this.nodes.filter(({ value }) => value.inputs.includes(input));
    this.vocabulary = Math.min(2 ** 32, ...readers.map(({ layer }) => layer.vocabulary ?? Number.POSITIVE_INFINITY));
  }

  /** The parameters with their initial values, for `createOptimizer`. @param seed a whole number from 0 to 2^32 - 1 */
  init(seed = 0): (ArenaParam & { readonly data: Float32Array<ArrayBuffer> })[] {
    checkNumber("init", "seed", seed, { min: 0, max: 2 ** 32 - 1, whole: true });
    return this.params.map(({ name, shape }, stream) => {
      const data = this.#defs.get(name)!.init(shape, randomStream(seed, stream));
      if (data.length !== sizeOf(shape))
        throw new OptionError(name, "init", `must return ${sizeOf(shape)} values`, data.length);
      return { name, shape, data };
    });
  }

  /** A table of layers, their output shapes, parameters, and the bytes of a sample's activation; then the sums. */
  summary(): string {
    const first = new Map<Layer, ModelNode>();
    const rows = this.nodes.map((node) => {
      const { value, layer, params } = node;
      const again = first.has(layer);
      first.set(layer, node);
      const tensors = Object.entries(params).map(([local, name]) => {
        const shared = again || name !== `${value.name}.${local}`;
        return `${local} ${shared ? `= ${name}` : showShape(this.#defs.get(name)!.shape)}`;
      });
      const own = Object.entries(params).filter(([local, name]) => !again && name === `${value.name}.${local}`);
      const count = own.reduce((sum, [, name]) => sum + sizeOf(this.#defs.get(name)!.shape), 0);
      return [
        value.name,
        layer.kind,
        value.inputs.map(({ name }) => name).join(", "),
        showShape(value.shape),
        tensors.join(", "),
        count === 0 ? "" : String(count),
        String(layer.view ? 0 : bytesOf(value.shape)),
      ];
    });
    const head = ["layer", "kind", "input", "output", "tensors", "params", "bytes/sample"];
    const total = this.params.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
    const kept = this.buffers.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
    const activations = this.nodes.reduce((sum, { value, layer }) => sum + (layer.view ? 0 : bytesOf(value.shape)), 0);
    return [
      ...table([head, ...rows], 5),
      `input ${showShape(this.input)}, output ${showShape(this.output)}`,
      `${total} parameters in ${this.params.length} tensors, ${total * 4} bytes` +
        (kept > 0 ? `; ${kept} numbers in ${this.buffers.length} buffers` : ""),
      `activations ${activations} bytes for each sample`,
    ].join("\n");
  }
}

function bytesOf(shape: Shape): number {
  return quadsOf(sizeOf(shape)) * 16;
}

/** What `output` is made from, and itself, inputs first; layers in the order in which they were applied. */
function sorted(output: Value): Value[] {
  const order: Value[] = [];
  const seen = new Set<Value>();
  // A stack of its own: deep models have more layers than some engines have stack frames.
  const stack: { value: Value; next: number }[] = [{ value: output, next: 0 }];
  seen.add(output);
  while (stack.length > 0) {
    const top = stack.at(-1)!;
    const input = top.value.inputs[top.next++];
    if (input === undefined) {
      order.push(top.value);
      stack.pop();
    } else if (!seen.has(input)) {
      seen.add(input);
      stack.push({ value: input, next: 0 });
    }
  }
  return order;
}

/** A layer that stands twice has its tensors once: they must not differ. */
function addOnce<Def extends { readonly shape: Shape }>(defs: Map<string, Def>, name: string, def: Def): void {
  const known = defs.get(name);
  if (known && !sameShape(known.shape, def.shape))
    throw new OptionError(
      name,
      "shape",
      `must be ${showShape(known.shape)}, as where the layer stands first`,
      def.shape,
    );
  if (!known) defs.set(name, def);
}

function checkTies({ name: where, inferred }: Value, params: ModelNode["params"], defs: ReadonlyMap<string, ParamDef>) {
  for (const [local, { shape, tied }] of Object.entries(inferred.params ?? {})) {
    if (!tied) continue;
    const owner = defs.get(params[local]!);
    if (!owner) throw new OptionError(where, local, "must be tied to a tensor that its layer has", params[local]);
    if (!sameShape(owner.shape, shape))
      throw new OptionError(where, local, `tied to ${params[local]} must be ${showShape(owner.shape)}`, shape);
  }
}

function inputKindOf(nodes: readonly ModelNode[], input: Value): ElementKind {
  const kinds = nodes.flatMap(({ value, layer }) => {
    if (layer.reads === "tokens" && value.inputs.some((from) => from !== input))
      throw new OptionError(
        value.name,
        "input",
        "must be the input of the model, which holds tokens",
        value.inputs[0]?.name,
      );
    return value.inputs.includes(input) ? [{ name: value.name, reads: layer.reads ?? "floats" }] : [];
  });
  const [first] = kinds;
  const other = kinds.find(({ reads }) => reads !== first?.reads);
  if (other)
    throw new OptionError(other.name, "input", `must hold ${first?.reads}, as for ${first?.name}`, other.reads);
  return first?.reads ?? "floats";
}

/** Columns of equal width; from column `right` on they are set to the right. */
function table(rows: readonly (readonly string[])[], right: number): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) =>
    row
      .map((cell, column) => (column >= right ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)))
      .join("  ")
      .trimEnd(),
  );
}
