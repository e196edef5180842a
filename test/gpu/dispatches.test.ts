/** How many dispatches a step takes: every rule, in every decay mode, with and without clipping. The number of tensors does not matter. */
import { describe, expect, test } from "vitest";
import { createOptimizer, type DecayMode, type RuleDefinition } from "../../src/index.ts";
import { countCalls } from "../browser/count-calls.ts";
import { testDevice } from "../browser/device.ts";
import { OFFERED } from "../rules-table.ts";

/** What a rule needs beside its update. */
function besideUpdate({ extraState, prepares, estimates, settles }: RuleDefinition): number {
  const prepared = prepares !== undefined && !estimates;
  return Number(extraState !== undefined) + Number(prepared) + Number(settles !== undefined);
}

const MODES: readonly DecayMode[] = ["coupled", "decoupled", "scheduled", "independent", "proximal", "rule"];
const NORM_CLIPPING = 2; // measure and control

/** Dispatches of one step with so many matrices and vectors (a rule for matrices gets no vectors). */
async function dispatchesOf(
  row: (typeof OFFERED)[number],
  decayMode: DecayMode,
  options: object,
  count: number,
): Promise<number> {
  const device = await testDevice();
  const shapes = Array.from({ length: count }, (_, k) => (k % 2 === 0 || row.rule.definition.refuses ? [6, 8] : [5]));
  const optimizer = await createOptimizer(device, {
    rule: row.rule,
    params: shapes.map((shape, k) => ({ name: `t${k}`, shape })),
    lr: 0.1,
    weightDecay: 0.1,
    decayMode,
    ...options,
  });
  const counter = countCalls(device);
  optimizer.step();
  const counts = counter.stop();
  optimizer.destroy();
  expect(counts).toMatchObject({
    submits: 1,
    passes: 1,
    createBuffer: 0,
    createBindGroup: 0,
    createComputePipeline: 0,
  });
  return counts.dispatches;
}

describe.each(OFFERED.filter(({ rule }, i) => OFFERED.findIndex((r) => r.rule.definition === rule.definition) === i))(
  "$rule.definition.name",
  (row) => {
    const { definition } = row.rule;
    const modes = MODES.filter((mode) => mode !== "rule" || definition.decayMode === "rule");
    const beside = besideUpdate(definition);
    // Newton and Schulz's iteration, for one class of matrices: the norm, and three products for each step.
    const matrices = definition.orthogonalizes ? 2 + 3 * 5 : 0;

    test.each(modes)(`decay %s: one update and ${beside + matrices} more`, async (mode) => {
      expect(await dispatchesOf(row, mode, {}, 2)).toBe(1 + beside + matrices);
      expect(await dispatchesOf(row, mode, { clip: { value: 1 } }, 2)).toBe(1 + beside + matrices);
      expect(await dispatchesOf(row, mode, { clip: { globalNorm: 1, tensorNorm: 1 } }, 9)).toBe(
        1 + beside + matrices + NORM_CLIPPING,
      );
    });

    test("at most 3 dispatches beside the update", () => {
      expect(beside).toBeLessThanOrEqual(3);
    });
  },
);
