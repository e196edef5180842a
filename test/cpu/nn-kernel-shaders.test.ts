/** Every kernel of src/nn/kernels, with every file that it can link in, through Tint's null backend; see shaders.test.ts. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { create } from "webgpu";
import * as activations from "../../src/nn/kernels/activations.ts";
import * as batchNorm from "../../src/nn/kernels/batch-norm.ts";
import * as convTranspose2d from "../../src/nn/kernels/conv-transpose2d.ts";
import * as conv2d from "../../src/nn/kernels/conv2d.ts";
import { dropout } from "../../src/nn/kernels/dropout.ts";
import * as elementwise from "../../src/nn/kernels/elementwise.ts";
import * as embedding from "../../src/nn/kernels/embedding.ts";
import * as losses from "../../src/nn/kernels/losses.ts";
import * as metrics from "../../src/nn/kernels/metrics.ts";
import * as pool2d from "../../src/nn/kernels/pool2d.ts";
import * as norm from "../../src/nn/kernels/segment-norm.ts";
import * as softmax from "../../src/nn/kernels/softmax.ts";
import { moveTimes } from "../../src/nn/kernels/times.ts";

const SHADERS: Readonly<Record<string, string>> = import.meta.glob("../../shaders/nn/*/**/*.wgsl", {
  query: "?raw",
  import: "default",
  eager: true,
});

// Kept: when it is collected as garbage, so is what its devices stand on.
const gpu = create(["backend=null"]);
let device: GPUDevice;
const linked: string[] = [];
const uncaptured: string[] = [];

beforeAll(async () => {
  const adapter = await gpu.requestAdapter();
  device = await adapter!.requestDevice();
  device.addEventListener("uncapturederror", ({ error }) => uncaptured.push(error.message));
  const make = device.createShaderModule.bind(device);
  device.createShaderModule = (descriptor) => {
    linked.push(descriptor.code);
    return make(descriptor);
  };
});

afterAll(() => {
  expect(uncaptured).toEqual([]);
  device.destroy();
});

const both = [false, true];
const rows = 16;
const image = { rows, inChannels: 4, inHeight: 7, inWidth: 6, outChannels: 6 };
const convolutions: Omit<conv2d.Conv2dShape, "bytes">[] = [
  { ...image, kernel: [3, 3] as const, padding: [1, 1] as const, groups: 2 },
  { ...image, kernel: [2, 3] as const, stride: [2, 1] as const, dilation: [1, 2] as const },
];
// Lines of 5 and 4 pixels.
convolutions.push({ ...image, inWidth: 5, kernel: [3, 3] as const, padding: [1, 1] as const, groups: 1 });
convolutions.push({ ...image, inWidth: 4, kernel: [3, 3] as const, padding: [1, 1] as const, groups: 1 });
// Stride 2, also depthwise; 1 x 1.
convolutions.push({ ...image, kernel: [3, 3] as const, stride: [2, 2] as const, padding: [1, 1] as const });
convolutions.push({ ...image, outChannels: 4, kernel: [3, 3] as const, stride: [2, 2] as const, groups: 4 });
convolutions.push({ ...image, kernel: [1, 1] as const });
convolutions.push({ ...image, inHeight: 8, kernel: [1, 1] as const });
convolutions.push({ ...image, kernel: [1, 1] as const, stride: [2, 2] as const });
const pools = [
  { rows, channels: 3, inHeight: 8, inWidth: 6, kernel: [2, 2] as const },
  { rows, channels: 3, inHeight: 7, inWidth: 6, kernel: [2, 2] as const },
  {
    rows,
    channels: 3,
    inHeight: 7,
    inWidth: 6,
    kernel: [3, 2] as const,
    stride: [1, 2] as const,
    padding: [1, 1] as const,
  },
];
const flat = { rows, features: 13 };
const classes = { rows, tokens: 3, classes: 7 };
const kinds = ["relu", "leakyRelu", "gelu", "geluTanh", "silu", "tanh", "sigmoid"] as const;
const channels = { rows, channels: 6, plane: 5 };
const grouped = { ...channels, groups: 2 };
const tokens = { rows, tokens: 3, features: 5 };
const words = { ...tokens, vocabulary: 11 };

const calls: Readonly<Record<string, () => Promise<unknown>[]>> = {
  conv2d: () =>
    convolutions.flatMap((s) =>
      both.flatMap((on) => [
        conv2d.conv2dForward(device, "l", s, { relu: on, bias: on }),
        conv2d.conv2dForward(device, "l", { ...s, bytes: { scale: 2, shift: -1 } }, { relu: on }),
        conv2d.conv2dInputGradient(device, "l", s, { inputRelu: on }),
        conv2d.conv2dWeightGradient(device, "l", s, { accumulate: on, bias: !on }),
      ]),
    ),
  convTranspose2d: () =>
    convolutions.flatMap((s) =>
      both.flatMap((on) => [
        convTranspose2d.convTranspose2dForward(device, "l", s, { relu: on, bias: on }),
        convTranspose2d.convTranspose2dInputGradient(device, "l", s, { inputRelu: on }),
        convTranspose2d.convTranspose2dWeightGradient(device, "l", s, { accumulate: on, bias: on }),
      ]),
    ),
  pool2d: () =>
    pools.flatMap((s) => [
      pool2d.maxPool2dForward(device, "l", s),
      pool2d.averagePool2dForward(device, "l", s),
      ...both.map((inputRelu) => pool2d.maxPool2dBackward(device, "l", s, { inputRelu })),
      ...both.map((inputRelu) => pool2d.averagePool2dBackward(device, "l", s, { inputRelu })),
    ]),
  batchNorm: () =>
    [channels, { ...channels, plane: 8 }].flatMap((shape) =>
      both.flatMap((on) => [
        batchNorm.batchNormForward(device, "l", shape, { relu: on }),
        batchNorm.batchNormEvaluate(device, "l", shape, { relu: on }),
        batchNorm.batchNormBackward(device, "l", shape, { outputRelu: on, accumulate: !on }),
      ]),
    ),
  segmentNorm: () =>
    both.flatMap((on) => [
      norm.layerNormForward(device, "l", tokens, { bias: on }),
      norm.layerNormInputGradient(device, "l", tokens),
      norm.layerNormWeightGradient(device, "l", tokens, { accumulate: on, bias: on }),
      norm.rmsNormForward(device, "l", tokens),
      norm.rmsNormInputGradient(device, "l", tokens),
      norm.rmsNormWeightGradient(device, "l", tokens, { accumulate: on }),
      norm.groupNormForward(device, "l", grouped, { bias: on }),
      norm.groupNormInputGradient(device, "l", grouped),
      norm.groupNormWeightGradient(device, "l", grouped, { accumulate: on, bias: on }),
    ]),
  activations: () =>
    kinds.flatMap((kind) => [
      activations.activationForward(device, "l", flat, { kind }),
      activations.activationBackward(device, "l", flat, { kind }),
    ]),
  softmax: () => [softmax.softmaxForward(device, "l", tokens), softmax.softmaxBackward(device, "l", tokens)],
  dropout: () => [0, 0.5, 1].map((p) => dropout(device, "l", flat, { p, stream: 3 })),
  elementwise: () => [
    ...both.map((relu) => elementwise.add(device, "l", flat, { relu })),
    elementwise.addTo(device, "l", flat),
    ...both.map((accumulate) =>
      elementwise.copyFeatures(
        device,
        "l",
        { rows, features: 5, sourceFeatures: 6, sourceOffset: 1, targetFeatures: 9, targetOffset: 4 },
        { accumulate },
      ),
    ),
    elementwise.addRow(device, "l", flat),
    ...both.map((apart) => moveTimes(device, "l", { rows, times: 3, features: 5 }, { apart })),
    ...both.map((accumulate) => elementwise.addRowGradient(device, "l", flat, { accumulate })),
  ],
  embedding: () => [
    embedding.embeddingForward(device, "l", words),
    ...both.map((accumulate) => embedding.embeddingWeightGradient(device, "l", words, { accumulate })),
  ],
  losses: () => [
    ...both.map((classWeights) => losses.crossEntropy(device, "l", classes, { classWeights, labelSmoothing: 0.1 })),
    losses.mse(device, "l", flat),
    losses.l1(device, "l", flat),
    losses.huber(device, "l", flat, { delta: 2 }),
    losses.bceWithLogits(device, "l", flat),
  ],
  metrics: () => [metrics.batchMetrics(device, "l", classes, { k: 3 }), metrics.lossRecord(device, "l", classes)],
};

describe("kernels of the training kit's layers", () => {
  test.each(Object.entries(calls))("%s", async (_, call) => {
    for (const operation of await Promise.all(call())) expect(operation).toBeDefined();
  });

  test("every file of their folders in shaders/nn is linked in by one of them", () => {
    const own = Object.entries(SHADERS).filter(([path]) => !/nn\/(input-rows|weight-rows|lib|augment)\//.test(path));
    expect(own.length).toBeGreaterThan(30);
    const missing = own.filter(([, text]) => {
      const beforeImports = text.split("\n#import")[0]!;
      return !linked.some((code) => code.includes(beforeImports));
    });
    expect(missing.map(([path]) => path)).toEqual([]);
  });
});
