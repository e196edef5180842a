/** Muon's matrix part, five Newton-Schulz steps on one matrix: ours against the same in jax-js under `jit`. */
import { generate } from "../test/reference/prng.ts";
import { countedStep } from "./counted-step.ts";
import { jaxOnMatrix, type Matrix, orthogonalized, oursOnMatrix } from "./impl/newton-schulz.ts";
import { median, ratioToBaseline, timeInRounds, warmUp } from "./rounds.ts";
import { type MatrixCase, matrixCases, type Suite } from "./suite.ts";

export const muon: Suite = async ({ request, device, row, progress }) => {
  for (const name of matrixCases) {
    await progress(`muon ${name}`);
    const matrix = matrixOf(name);
    const want = orthogonalized(matrix);
    const [ours, theirs] = [await oursOnMatrix(device, matrix), await jaxOnMatrix(matrix)];
    const running = [ours, theirs];
    const errors = new Map<string, number>();
    for (const each of running) {
      each.step();
      await each.done();
      const error = errorOverAllowed(await each.read(), want);
      if (!(error <= 1)) throw new Error(`${name}, ${each.name}: wrong result, ${error} times the allowed error`);
      errors.set(each.name, error);
    }
    for (const each of running) await warmUp(each, 2);
    const times = await timeInRounds(ours, [theirs], { rounds: request.rounds, stepsPerTurn: 1 });
    for (const each of running) {
      const measured = times.get(each.name)!;
      await row({
        suite: "muon",
        case: name,
        impl: each.name,
        median_ms: median(measured.wall),
        min_ms: Math.min(...measured.wall),
        host_ms: median(measured.host),
        over_ours: ratioToBaseline(measured),
        counts: await countedStep(each, 2),
        error: errors.get(each.name)!,
      });
      each.destroy();
    }
  }
};

function matrixOf(name: MatrixCase): Matrix {
  const [rows, cols] = name.split("x").map(Number) as [number, number];
  return {
    rows,
    cols,
    values: generate({ kind: "normal", scale: 0.02 }, 1, 0, 1, rows * cols) as Float32Array<ArrayBuffer>,
  };
}

/** |got - want| over 2e-5 |want|: 20 times what float32 costs here; a coefficient that is off by 1e-3 misses by more. */
function errorOverAllowed(got: Float32Array, want: Float64Array): number {
  let error = 0;
  let size = 0;
  want.forEach((w, i) => {
    error += (got[i]! - w) ** 2;
    size += w * w;
  });
  return Math.sqrt(error / size) / 2e-5;
}
