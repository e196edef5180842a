/** This package's AdamW, plain and with what else a step can do. */
import { adamw, createOptimizer, type Figures, type Optimizer, type OptimizerOptions } from "../../src/index.ts";
import { type AdamwTwin, adamwParams, checkedSteps, gradNorm, hyper } from "../adamw-float64.ts";
import type { CaseTensor } from "../cases.ts";
import { type Implementation, scaled } from "../implementation.ts";

const weightDecay = 0.01;
const maxNorm = 1;

type Extras = Pick<OptimizerOptions, "clip" | "skipNonFinite" | "monitor">;
const clip: Extras = { clip: { globalNorm: maxNorm }, skipNonFinite: true };
const figures: Extras = { monitor: { every: 1 } };

/** What is timed of ours: options beyond plain AdamW, and whether the tensors stay in the caller's buffers. */
export const variants = {
  ours: {},
  "ours clip": clip,
  "ours figures": figures,
  "ours clip figures": { ...clip, ...figures },
  "ours attached": {},
} satisfies Record<string, Extras>;
export type Variant = keyof typeof variants;

export async function ours(
  device: GPUDevice,
  tensors: readonly CaseTensor[],
  variant: Variant,
): Promise<Implementation> {
  const extras: Extras = variants[variant];
  const attached = variant === "ours attached" ? tensors.map((t) => attachedTensor(device, t)) : undefined;
  const optimizer = await createOptimizer(device, {
    rule: adamw({ betas: [hyper.beta1, hyper.beta2], eps: hyper.eps }),
    lr: hyper.lr,
    weightDecay,
    params: attached ?? tensors.map(({ name, shape, param }) => ({ name, shape, data: param })),
    label: `bench ${variant}`,
    ...extras,
  });
  const scaleGradients = (factor: number) => {
    for (const t of tensors) optimizer.writeGrad(t.name, scaled(t.grad, factor));
  };
  scaleGradients(1);

  const twin: AdamwTwin = extras.clip ? { weightDecay, maxNorm } : { weightDecay };
  return {
    name: variant,
    step: () => optimizer.step(),
    done: () => device.queue.onSubmittedWorkDone(),
    scaleGradients,
    readParams: () => Promise.all(tensors.map((t) => optimizer.readParam(t.name))),
    expectedParams: () => adamwParams(tensors, twin),
    ...(extras.monitor && { checkReport: checkFigures(optimizer, tensors) }),
    destroy() {
      optimizer.destroy();
      for (const t of attached ?? []) for (const { buffer } of [t.param, t.grad]) buffer.destroy();
    },
  };
}

function attachedTensor(device: GPUDevice, { name, shape, param }: CaseTensor) {
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  const buffer = (what: string) =>
    device.createBuffer({ label: `bench ${what} ${name}`, size: param.byteLength, usage });
  const buffers = { param: buffer("param"), grad: buffer("grad") };
  device.queue.writeBuffer(buffers.param, 0, param);
  return { name, shape, param: { buffer: buffers.param }, grad: { buffer: buffers.grad } };
}

/** The gradient norm of the last checked step, to 1e-4: a float32 tree over millions of values is good to 1e-6. */
function checkFigures(optimizer: Optimizer, tensors: readonly CaseTensor[]): () => Promise<void> {
  let last: Figures | undefined;
  const unsubscribe = optimizer.on("figures", (f) => {
    last = f;
  });
  return async () => {
    await optimizer.flush();
    unsubscribe();
    const expected = gradNorm(tensors, checkedSteps.at(-1)!);
    if (!(Math.abs((last?.gradNorm ?? Number.NaN) / expected - 1) < 1e-4)) {
      throw new Error(`figures: gradNorm is ${last?.gradNorm} instead of ${expected}`);
    }
  };
}
