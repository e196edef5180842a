/**
 * Each matrix and convolution kernel of the training kit alone, in GFLOP/s: beside a kernel that only multiplies and adds in
 * registers, a textbook kernel, and jax-js. All take turns, and each is taken at its best round.
 */

import * as jax from "@jax-js/jax";
import { getWebGPUDevice, init, jit, lax, numpy as np } from "@jax-js/jax";
import { type Dispatch, encodeDispatches } from "../src/nn/dispatch.ts";
import { conv2dForward, conv2dInputGradient, conv2dOutput, conv2dWeightGradient } from "../src/nn/kernels/conv2d.ts";
import { linearForward, linearInputGradient, linearWeightGradient } from "../src/nn/linear.ts";
import plainConv2d from "./kernels/plain-conv2d.wgsl?raw";
import registers from "./kernels/registers.wgsl?raw";
import tiledMatmul from "./kernels/tiled-matmul.wgsl?raw";
import type { Suite } from "./suite.ts";

/** Something to time. */
interface Contender {
  readonly impl: string;
  /** Floating point operations of one run. */
  readonly flops: number;
  /** Submits `runs` of it. */
  submit(runs: number): void;
  done(): Promise<void>;
}

interface Case {
  readonly name: string;
  readonly contenders: readonly Contender[];
}

/** A convolution of square planes by a square kernel. */
interface Convolution {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly size: number;
  readonly kernel: number;
  readonly stride?: number;
  readonly groups?: number;
}

/** The two of the MNIST `cnn`, and what residual and depthwise networks are made of. */
const CONVOLUTIONS: readonly Convolution[] = [
  { kernel: 3, inChannels: 1, outChannels: 8, size: 28 },
  { kernel: 3, inChannels: 8, outChannels: 16, size: 14 },
  { kernel: 3, stride: 2, inChannels: 16, outChannels: 32, size: 14 },
  { kernel: 1, inChannels: 16, outChannels: 32, size: 14 },
  { kernel: 1, stride: 2, inChannels: 16, outChannels: 32, size: 14 },
  { kernel: 3, inChannels: 32, outChannels: 32, groups: 32, size: 14 },
  { kernel: 3, stride: 2, inChannels: 32, outChannels: 32, groups: 32, size: 14 },
];

const ROWS = 64;
/** Runs in a submission: the call costs next to nothing. */
const RUNS = 4;

export const kernels: Suite = async ({ device, request, row, progress }) => {
  const make = new Maker(device);
  await make.openJax();
  const ceiling = await make.registers();
  const cases = [await linearCases(make, 784, 128)];
  for (const convolution of CONVOLUTIONS) cases.push(await convCases(make, convolution));
  for (const { name, contenders } of cases.flat()) {
    await progress(`kernels ${name}`);
    const all = [ceiling, ...contenders];
    const best = all.map(() => Number.POSITIVE_INFINITY);
    for (let round = 0; round < request.rounds + 2; round++) {
      for (const [i, contender] of all.entries()) {
        const start = performance.now();
        contender.submit(RUNS);
        await contender.done();
        // The first two rounds warm up.
        if (round > 1) best[i] = Math.min(best[i]!, (performance.now() - start) / RUNS);
      }
    }
    const gflops = all.map(({ flops }, i) => flops / best[i]! / 1e6);
    for (const [i, { impl }] of all.entries()) {
      await row({ suite: "kernels", case: name, impl, gflops: gflops[i]!, share: gflops[i]! / gflops[0]! });
    }
  }
};

/** Makes contenders on one device. */
class Maker {
  readonly device: GPUDevice;
  jaxDevice: GPUDevice | undefined;

  constructor(device: GPUDevice) {
    this.device = device;
  }

  async openJax(): Promise<void> {
    if (!(await init("webgpu")).includes("webgpu")) throw new Error("jax-js has no WebGPU");
    jax.defaultDevice("webgpu");
    this.jaxDevice = getWebGPUDevice();
  }

  /** A buffer of random values in [-0.5, 0.5). */
  buffer(floats: number): { buffer: GPUBuffer } {
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST;
    const buffer = this.device.createBuffer({ size: floats * 4, usage });
    this.device.queue.writeBuffer(buffer, 0, random(floats));
    return { buffer };
  }

  ours(impl: string, flops: number, dispatches: readonly Dispatch[]): Contender {
    const { device } = this;
    return {
      impl,
      flops,
      submit: (runs) => {
        const encoder = device.createCommandEncoder();
        for (let i = 0; i < runs; i++) encodeDispatches(encoder, impl, dispatches);
        device.queue.submit([encoder.finish()]);
      },
      done: () => device.queue.onSubmittedWorkDone(),
    };
  }

  /** A kernel of the bench's own: its bindings are buffers in order. */
  async own(
    impl: string,
    flops: number,
    code: string,
    constants: Record<string, number>,
    buffers: readonly { buffer: GPUBuffer }[],
    workgroups: readonly [number, number],
  ): Promise<Contender> {
    const { device } = this;
    const module = device.createShaderModule({ code });
    const compute = { module, entryPoint: "main", constants };
    const pipeline = await device.createComputePipelineAsync({ layout: "auto", compute });
    const entries = buffers.map(({ buffer }, binding) => ({ binding, resource: { buffer } }));
    const bindGroup = device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries });
    return this.ours(impl, flops, [{ label: impl, pipeline, bindGroup, workgroups }]);
  }

  registers(): Promise<Contender> {
    const invocations = 4096;
    const flops = invocations * 256 * 4 * 4 * 2;
    return this.own("registers", flops, registers, {}, [this.buffer(invocations * 4)], [invocations / 64, 1]);
  }

  /** `f` under jit on arrays of these shapes. */
  async jax(flops: number, f: (...arrays: jax.Array[]) => jax.Array, shapes: readonly number[][]): Promise<Contender> {
    const arrays = shapes.map((shape) => np.array(random(shape.reduce((a, b) => a * b, 1)), { shape }));
    await jax.blockUntilReady(arrays);
    const compiled = jit(f as never) as unknown as typeof f;
    return {
      impl: "jax-js",
      flops,
      submit: (runs) => {
        for (let i = 0; i < runs; i++) {
          const result = compiled(...arrays.map((a) => a.ref));
          // Submits what jit has recorded.
          result.gpuBufferSync();
        }
      },
      done: () => this.jaxDevice!.queue.onSubmittedWorkDone(),
    };
  }
}

async function linearCases(make: Maker, inFeatures: number, outFeatures: number): Promise<Case[]> {
  const { device } = make;
  const shape = { rows: ROWS, inFeatures, outFeatures };
  const flops = 2 * ROWS * inFeatures * outFeatures;
  const [input, output] = [make.buffer(ROWS * inFeatures), make.buffer(ROWS * outFeatures)];
  const [weight, bias] = [make.buffer(inFeatures * outFeatures), make.buffer(outFeatures)];
  const [inputGradient, outputGradient] = [make.buffer(ROWS * inFeatures), make.buffer(ROWS * outFeatures)];
  const [weightGradient, biasGradient] = [make.buffer(inFeatures * outFeatures), make.buffer(outFeatures)];
  const forward = await linearForward(device, "forward", shape, { relu: false });
  const toInput = await linearInputGradient(device, "input gradient", shape, { inputRelu: false });
  const toWeight = await linearWeightGradient(device, "weight gradient", shape);
  const sizes = { ROWS, IN: inFeatures, OUT: outFeatures };
  const grid = [Math.ceil(outFeatures / 8), Math.ceil(ROWS / 8)] as const;
  const [x, w, dy] = [
    [ROWS, inFeatures],
    [outFeatures, inFeatures],
    [ROWS, outFeatures],
  ] as const;
  const name = `${ROWS}x${inFeatures}x${outFeatures}`;
  return [
    {
      name: `linear ${name}`,
      contenders: [
        make.ours("ours", flops, [forward.on({ input, weight, bias, output })]),
        await make.own("textbook", flops, tiledMatmul, sizes, [input, weight, output], grid),
        await make.jax(flops, (a, b) => np.matmul(a!, np.transpose(b!)), [[...x], [...w]]),
      ],
    },
    {
      name: "its input gradient",
      contenders: [
        make.ours("ours", flops, [toInput.on({ outputGradient, weight, input, inputGradient })]),
        await make.jax(flops, (a, b) => np.matmul(a!, b!), [[...dy], [...w]]),
      ],
    },
    {
      name: "its weight gradient",
      contenders: [
        make.ours("ours", flops, [toWeight.on({ outputGradient, input, weightGradient, biasGradient })]),
        await make.jax(flops, (a, b) => np.matmul(np.transpose(a!), b!), [[...dy], [...x]]),
      ],
    },
  ];
}

async function convCases(make: Maker, convolution: Convolution): Promise<Case[]> {
  const { device } = make;
  const { inChannels, outChannels, size, kernel: width, stride = 1, groups = 1 } = convolution;
  // As much as leaves planes as they are, but for the stride.
  const pad = width >> 1;
  const pair = (n: number) => [n, n] as const;
  const shape = {
    ...{ rows: ROWS, inChannels, inHeight: size, inWidth: size, outChannels, groups },
    ...{ kernel: pair(width), stride: pair(stride), padding: pair(pad) },
  };
  const [outSize] = conv2dOutput(shape);
  const [plane, outPlane] = [size * size, outSize * outSize];
  const weights = (width * width * inChannels * outChannels) / groups;
  const flops = 2 * ROWS * outPlane * weights;
  const [input, output] = [make.buffer(ROWS * inChannels * plane), make.buffer(ROWS * outChannels * outPlane)];
  const [weight, bias] = [make.buffer(weights), make.buffer(outChannels)];
  const [inputGradient, outputGradient] = [
    make.buffer(ROWS * inChannels * plane),
    make.buffer(ROWS * outChannels * outPlane),
  ];
  const [weightGradient, biasGradient] = [make.buffer(weights), make.buffer(outChannels)];
  const forward = await conv2dForward(device, "forward", shape);
  const toInput = await conv2dInputGradient(device, "input gradient", shape);
  const toWeight = await conv2dWeightGradient(device, "weight gradient", shape);
  const scratch = make.buffer(toWeight.scratchBytes / 4);
  const sizes = {
    ...{ ROWS, IN: inChannels, OUT: outChannels, GROUPS: groups, SIZE: size, OUT_SIZE: outSize },
    ...{ KERNEL: width, STRIDE: stride, PAD: pad },
  };
  const grid = [Math.ceil((ROWS * outChannels * outPlane) / 64), 1] as const;
  const [x, w, y] = [
    [ROWS, inChannels, size, size],
    [outChannels, inChannels / groups, width, width],
    [ROWS, outChannels, outSize, outSize],
  ];
  const convolve = (a: jax.Array, b: jax.Array) =>
    lax.convGeneralDilated(a, b, [stride, stride], [[...pair(pad)], [...pair(pad)]] as [number, number][], {
      featureGroupCount: groups,
    });
  // The gradient of sum(conv * dy) by one factor: the convolution backward, and nothing else that its value depends on.
  const against = (a: jax.Array, b: jax.Array, dy: jax.Array) => convolve(a, b).mul(dy).sum();
  return [
    {
      name: nameOf(convolution),
      contenders: [
        make.ours("ours", flops, [forward.on({ input, weight, bias, output })]),
        await make.own("textbook", flops, plainConv2d, sizes, [input, weight, output], grid),
        await make.jax(flops, (a, b) => convolve(a!, b!), [x!, w!]),
      ],
    },
    {
      name: "its input gradient",
      contenders: [
        make.ours("ours", flops, [toInput.on({ outputGradient, weight, input, inputGradient })]),
        await make.jax(flops, jax.grad(against as never, { argnums: 0 } as never) as never, [x!, w!, y!]),
      ],
    },
    {
      name: "its weight gradient",
      contenders: [
        make.ours(
          "ours",
          flops,
          toWeight.on({ outputGradient, input, weightGradient, biasGradient, scratch }) as Dispatch[],
        ),
        await make.jax(flops, jax.grad(against as never, { argnums: 1 } as never) as never, [x!, w!, y!]),
      ],
    },
  ];
}

function nameOf({ kernel, stride = 1, groups = 1, inChannels, outChannels, size }: Convolution): string {
  const channels = groups === 1 ? `${inChannels}->${outChannels}` : `depthwise ${inChannels}`;
  return `conv ${kernel}x${kernel} ${channels} ${size}x${size}${stride > 1 ? ` stride ${stride}` : ""}`;
}

function random(size: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: size }, () => Math.random() - 0.5);
}
