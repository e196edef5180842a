/** Puts a state dict from elsewhere into the form that an optimizer of ours has. */
import type { GroupState, StateDict, TensorState } from "../engine/state.ts";
import { CheckpointError } from "../errors.ts";

/** Slots that belong to no rule and that nobody else saves. Averages begin anew, with the parameters. */
const ANCHOR = "anchor";
const AVERAGES = ["lookahead_slow_buff", "average"];

/**
 * `state` with the groups of `like`, and with what `like` has where `state` cannot have it: zeros for the slots of tensors that
 * have never been updated, anchors, averages, the loss scale. Options of groups are those of `state`, for people to read.
 *
 * @throws {CheckpointError} with every difference.
 */
export function fitTo(state: StateDict, like: StateDict): StateDict {
  const differences: string[] = [];
  if (state.rule !== like.rule) differences.push(`rule must be ${like.rule}, got ${state.rule}`);
  for (const name of Object.keys(state.tensors))
    if (!Object.hasOwn(like.tensors, name)) differences.push(`${name} is unknown here`);
  const tensors = Object.entries(like.tensors).map(([name, model]): [string, TensorState] => {
    const tensor = Object.hasOwn(state.tensors, name) ? state.tensors[name] : undefined;
    if (!tensor) {
      differences.push(`${name} is missing`);
      return [name, model];
    }
    if (tensor.shape.join() !== model.shape.join())
      differences.push(`${name}: shape must be [${model.shape.join()}], got [${tensor.shape.join()}]`);
    const numbers = tensor.numbers ?? (tensor.step === 0 ? model.numbers : undefined);
    if (`${Object.keys(numbers ?? {}).sort()}` !== `${Object.keys(model.numbers ?? {}).sort()}`)
      differences.push(`${name}: numbers must be ${Object.keys(model.numbers ?? {}).join(", ") || "none"}`);
    return [name, { ...tensor, ...(numbers && { numbers }), slots: fitSlots(name, tensor, model, differences) }];
  });
  if (differences.length > 0)
    throw new CheckpointError(`checkpoint: the state does not fit the optimizer\n  ${differences.join("\n  ")}`);
  const lossScale = state.lossScale ?? like.lossScale;
  return {
    ...state,
    ...(lossScale ? { lossScale } : {}),
    groups: like.groups.map((group) => fitGroup(group, state.groups)),
    tensors: Object.fromEntries(tensors),
  };
}

function fitSlots(
  name: string,
  { slots, step, param }: TensorState,
  like: TensorState,
  differences: string[],
): Record<string, Float32Array> {
  for (const slot of Object.keys(slots))
    if (!Object.hasOwn(like.slots, slot)) differences.push(`${name}: ${slot} is unknown here`);
  const fitted = Object.entries(like.slots).map(([slot, own]): [string, Float32Array] => {
    const got = Object.hasOwn(slots, slot) ? slots[slot] : undefined;
    if (got) return [slot, got];
    if (slot === ANCHOR) return [slot, own];
    if (AVERAGES.includes(slot)) return [slot, param.slice()];
    if (step > 0) differences.push(`${name}: ${slot} is missing`);
    return [slot, new Float32Array(own.length)];
  });
  return Object.fromEntries(fitted);
}

/** Name and tensors are ours, options those of the group that has the first of these. */
function fitGroup(like: GroupState, groups: readonly GroupState[]): GroupState {
  const first = like.tensors[0];
  const source = groups.find((group) => first !== undefined && group.tensors.includes(first)) ?? like;
  // Only what the engine has done itself is counted, and only in groups of the same name.
  const named = groups.find((group) => group.name === like.name);
  return {
    ...source,
    ...(source.carry || !like.carry ? {} : { carry: like.carry }),
    name: like.name,
    tensors: like.tensors,
    decayDose: (named ?? like).decayDose,
  };
}
