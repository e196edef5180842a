/** Models before any GPU: shapes, names, ties, initial values, and what is told of mistakes. */
import { describe, expect, it, test } from "vitest";
import { decayGroups, OptionError } from "../../src/index.ts";
import * as nn from "../../src/nn/index.ts";
import { randomStream } from "../../src/nn/random.ts";

const { add, concat, flatten, graph, linear, relu, reshape, residual, sequential } = nn;

const namesOf = (model: nn.Model) => model.params.map(({ name, shape }) => `${name} [${shape.join(", ")}]`);

describe("names", () => {
  it("are those of PyTorch: a number for each kind, from 1", () => {
    const model = sequential([6], [linear(5), relu(), linear(4, { bias: false }), relu(), linear(2)]);
    expect(namesOf(model)).toEqual([
      "fc1.weight [5, 6]",
      "fc1.bias [5]",
      "fc2.weight [4, 5]",
      "fc3.weight [2, 4]",
      "fc3.bias [2]",
    ]);
    expect(model.input).toEqual([6]);
    expect(model.output).toEqual([2]);
  });

  it("can be given, and numbers go round them", () => {
    const model = sequential([6], [linear(5), linear(4, { name: "fc2" }), linear(3), linear(2, { name: "head" })]);
    expect(namesOf(model).filter((name) => name.includes("weight"))).toEqual([
      "fc1.weight [5, 6]",
      "fc2.weight [4, 5]",
      "fc3.weight [3, 4]",
      "head.weight [2, 3]",
    ]);
  });

  it("must be unique", () => {
    const parts = [linear(5, { name: "a" }), linear(4, { name: "a" })];
    expect(() => sequential([6], parts)).toThrow('linear: name must be unique in the model, got "a"');
  });
});

describe("images", () => {
  const { avgPool2d, batchNorm, conv2d, convTranspose2d, globalAvgPool2d, maxPool2d } = nn;
  const through = (input: nn.Shape, ...parts: nn.Part[]) => sequential(input, parts).output.join();

  // The numbers are those of torch.nn for these arguments.
  test.each([
    [through([1, 28, 28], conv2d(8, { kernel: 3 })), "8,26,26"],
    [through([1, 28, 28], conv2d(8, { kernel: 3, padding: 1, stride: 2 })), "8,14,14"],
    [
      through([2, 9, 7], conv2d(4, { kernel: [3, 2], padding: [0, 1], dilation: [2, 1], stride: [1, 3], groups: 2 })),
      "4,5,3",
    ],
    [through([4, 5, 5], convTranspose2d(2, { kernel: 3, stride: 2, padding: 1, outputPadding: 1 })), "2,10,10"],
    [through([4, 7, 7], convTranspose2d(2, { kernel: 2, stride: 2 })), "2,14,14"],
    [through([3, 7, 7], maxPool2d(2)), "3,3,3"],
    [through([3, 7, 7], maxPool2d(3, { stride: 2, padding: 1 })), "3,4,4"],
    [through([3, 7, 8], avgPool2d([2, 4], { stride: 1 })), "3,6,5"],
    [through([3, 7, 8], globalAvgPool2d()), "3"],
  ])("have the shapes of PyTorch: %s", (output, expected) => {
    expect(output).toBe(expected);
  });

  it("have the tensors of PyTorch", () => {
    const model = sequential(
      [6, 8, 8],
      [
        conv2d(4, { kernel: [3, 5], groups: 2 }),
        batchNorm(),
        relu(),
        convTranspose2d(8, { kernel: 2, groups: 2, bias: false }),
      ],
    );
    expect(namesOf(model)).toEqual([
      "conv1.weight [4, 3, 3, 5]",
      "conv1.bias [4]",
      "bn1.weight [4]",
      "bn1.bias [4]",
      "deconv1.weight [4, 4, 2, 2]",
    ]);
    expect(model.buffers).toEqual([
      { name: "bn1.running_mean", shape: [4], value: 0 },
      { name: "bn1.running_var", shape: [4], value: 1 },
    ]);
    const [weight, bias, scale, shift] = model.init(2).map(({ data }) => data) as Float32Array[];
    // Uniform in +-1/sqrt(3 * 3 * 5).
    for (const data of [weight!, bias!]) {
      expect(Math.max(...data.map(Math.abs))).toBeLessThanOrEqual(1 / Math.sqrt(45) + 1e-7);
      expect(Math.max(...data.map(Math.abs))).toBeGreaterThan(0.5 / Math.sqrt(45));
    }
    expect([...scale!, ...shift!]).toEqual([1, 1, 1, 1, 0, 0, 0, 0]);
  });

  test.each<[string, () => unknown, string]>([
    [
      "a flat input",
      () => sequential([64], [conv2d(3, { kernel: 3 })]),
      "conv1: input must be [channels, height, width], got [64]",
    ],
    [
      "a small image",
      () => sequential([1, 2, 9], [conv2d(3, { kernel: 3 })]),
      "conv1: input must be at least as large as the kernel 3 x 3, got [1,2,9]",
    ],
    [
      "channels that cannot be shared",
      () => sequential([3, 9, 9], [conv2d(4, { kernel: 3, groups: 2 })]),
      "conv1: input must have a multiple of 2 channels, got [3,9,9]",
    ],
    [
      "outputs that cannot be shared",
      () => conv2d(3, { kernel: 3, groups: 2 }),
      "conv2d: outChannels must be a multiple of groups 2, got 3",
    ],
    [
      "no kernel",
      () => conv2d(3, {} as never),
      "conv2d: kernel must be a number or [vertical, horizontal], got undefined",
    ],
    [
      "a kernel of 0",
      () => conv2d(3, { kernel: [3, 0] }),
      "conv2d: kernel[1] must be a whole number in [1, 16777216], got 0",
    ],
    [
      "much outputPadding",
      () => convTranspose2d(3, { kernel: 3, stride: 2, outputPadding: 2 }),
      "convTranspose2d: outputPadding must be below 2, stride or dilation, got 2",
    ],
    [
      "much padding of a pool",
      () => maxPool2d(2, { padding: 2 }),
      "maxPool2d: padding must be at most half of the kernel 2 x 2, got [2,2]",
    ],
    [
      "a pool of nothing",
      () => sequential([1, 1, 5], [avgPool2d(2)]),
      "pool1: input must be at least as large as the kernel 2 x 2, got [1,1,5]",
    ],
    [
      "times into batchNorm",
      () => sequential([4, 8], [batchNorm()]),
      "bn1: input must be [channels] or [channels, height, width], got [4,8]",
    ],
    ["momentum above 1", () => batchNorm({ momentum: 2 }), "batchNorm: momentum must be in [0, 1], got 2"],
  ])("are refused with %s", (_, make, message) => {
    expect(make).toThrow(OptionError);
    expect(make).toThrow(message);
  });
});

describe("graphs", () => {
  it("have residual blocks and nested parts", () => {
    const block = (width: number) => residual([linear(width), relu(), linear(width)], linear(width, { bias: false }));
    const model = sequential([8], [[block(4), relu()], block(4), [[linear(2)]]]);
    expect(model.nodes.map(({ value }) => value.name)).toEqual([
      "fc1",
      "relu1",
      "fc2",
      "fc3",
      "add1",
      "relu2",
      "fc4",
      "relu3",
      "fc5",
      "fc6",
      "add2",
      "fc7",
    ]);
    expect(model.output).toEqual([2]);
  });

  it("leave out what does not lead to the output", () => {
    const model = graph([3], (x) => {
      x.pipe(linear(100));
      return x.pipe(linear(2));
    });
    expect(namesOf(model)).toEqual(["fc2.weight [2, 3]", "fc2.bias [2]"]);
  });

  it("concatenate along the first extent", () => {
    const model = graph([6], (x) => {
      return concat([x.pipe(reshape([2, 1, 3])), x.pipe(linear(12), reshape([4, 1, 3]))]).pipe(flatten());
    });
    expect(model.nodes.map(({ value }) => value.shape.join())).toEqual(["2,1,3", "12", "4,1,3", "6,1,3", "18"]);
  });

  it("may be a thousand layers deep", () => {
    const model = sequential(
      [4],
      Array.from({ length: 1000 }, () => linear(4)),
    );
    expect(model.params).toHaveLength(2000);
  });
});

describe("the models of docs/training-kit.md", () => {
  const { batchNorm, conv2d, convTranspose2d, globalAvgPool2d, maxPool2d } = nn;

  it("have the shapes that are meant", () => {
    const block = (width: number, stride: number) =>
      residual(
        [
          conv2d(width, { kernel: 3, stride, padding: 1, bias: false }),
          batchNorm(),
          relu(),
          conv2d(width, { kernel: 3, padding: 1, bias: false }),
          batchNorm(),
        ],
        stride === 1 ? [] : [conv2d(width, { kernel: 1, stride, bias: false }), batchNorm()],
      );
    const resnet = sequential(
      [1, 28, 28],
      [
        conv2d(16, { kernel: 3, stride: 2, padding: 1, bias: false }),
        batchNorm(),
        relu(),
        block(16, 1),
        relu(),
        block(32, 2),
        relu(),
        globalAvgPool2d(),
        linear(10),
      ],
    );
    const shapeOf = (name: string) => resnet.nodes.find(({ value }) => value.name === name)!.value.shape;
    expect([shapeOf("add1"), shapeOf("add2"), shapeOf("pool1"), resnet.output]).toEqual([
      [16, 14, 14],
      [32, 7, 7],
      [32],
      [10],
    ]);
    const parameters = resnet.params.reduce((sum, { shape }) => sum + shape.reduce((n, d) => n * d, 1), 0);
    // Convolutions, norms of 16 and of 32 channels, the dense layer.
    expect(parameters).toBe(144 + 2 * 2304 + 4608 + 9216 + 512 + 3 * 32 + 3 * 64 + 330);
    const unet = graph([1, 8, 8], (x) => {
      const down = x.pipe(conv2d(4, { kernel: 3, padding: 1 }), relu());
      const up = down.pipe(
        maxPool2d(2),
        conv2d(8, { kernel: 3, padding: 1 }),
        relu(),
        convTranspose2d(4, { kernel: 2, stride: 2 }),
      );
      return concat([down, up]).pipe(conv2d(1, { kernel: 1 }));
    });
    expect(unet.output).toEqual([1, 8, 8]);
  });
});

describe("shared parameters", () => {
  it("of a layer that stands twice exist once", () => {
    const shared = linear(4);
    const model = sequential([4], [shared, relu(), shared]);
    expect(namesOf(model)).toEqual(["fc1.weight [4, 4]", "fc1.bias [4]"]);
    expect(model.summary()).toContain("weight = fc1.weight");
  });

  it("of tied layers exist once, with a bias of its own", () => {
    const first = linear(4);
    const model = sequential([4], [first, relu(), linear(4, { tied: first })]);
    expect(namesOf(model)).toEqual(["fc1.weight [4, 4]", "fc1.bias [4]", "fc2.bias [4]"]);
  });

  it("must fit", () => {
    const shared = linear(4);
    expect(() => sequential([6], [shared, shared])).toThrow(
      "fc1.weight: shape must be [4, 6], as where the layer stands first, got [4,4]",
    );
    const first = linear(5);
    expect(() => sequential([4], [first, linear(5, { tied: first })])).toThrow(
      "fc2: weight tied to fc1.weight must be [5, 4], got [5,5]",
    );
    expect(() => sequential([4], [linear(4, { tied: first })])).toThrow(
      "fc1: weight must be tied to a layer of the model",
    );
  });
});

describe("initial values", () => {
  it("are those of PyTorch's layers: uniform in +-1/sqrt(inputs)", () => {
    const model = sequential([400], [linear(300)]);
    const [weight, bias] = model.init(7).map(({ data }) => data) as [Float32Array, Float32Array];
    for (const data of [weight, bias]) {
      expect(Math.max(...data.map(Math.abs))).toBeLessThanOrEqual(Math.fround(1 / 20));
      expect(Math.max(...data.map(Math.abs))).toBeGreaterThan(0.98 / 20);
    }
    const mean = weight.reduce((sum, w) => sum + w, 0) / weight.length;
    // Standard error of the mean of 120 000 uniform values: 0.05 / sqrt(3 * 120000) = 8e-5.
    expect(Math.abs(mean)).toBeLessThan(4e-4);
  });

  it("are equal for equal seeds, and different for others", () => {
    const model = sequential([40], [linear(30), linear(30)]);
    expect(model.init(3)).toEqual(model.init(3));
    const [a, , b] = model.init(3);
    expect(model.init(4)[0]!.data).not.toEqual(a!.data);
    expect(b!.data.subarray(0, 30)).not.toEqual(a!.data.subarray(0, 30));
  });

  const deviation = (data: Float32Array) => Math.sqrt(data.reduce((sum, v) => sum + v * v, 0) / data.length);
  // fanIn 20 * 9, fanOut 50 * 9. 9000 values: the deviation is known to 1 / sqrt(18000) = 0.7 %.
  const shape = [50, 20, 3, 3];
  test.each([
    ["kaimingNormal relu", nn.kaimingNormal({ nonlinearity: "relu" }), Math.SQRT2 / Math.sqrt(180)],
    ["kaimingNormal fanOut", nn.kaimingNormal({ mode: "fanOut" }), Math.SQRT2 / Math.sqrt(450)],
    ["kaimingUniform leaky", nn.kaimingUniform({ a: Math.sqrt(5) }), 1 / Math.sqrt(3 * 180)],
    ["kaimingUniform tanh", nn.kaimingUniform({ nonlinearity: "tanh" }), 5 / 3 / Math.sqrt(180)],
    ["xavierNormal", nn.xavierNormal(), Math.sqrt(2 / 630)],
    ["xavierUniform", nn.xavierUniform(2), 2 * Math.sqrt(2 / 630)],
    ["normal", nn.normal(0, 3), 3],
    ["uniform", nn.uniform(-1, 1), 1 / Math.sqrt(3)],
    ["ones", nn.ones(), 1],
    ["constant", nn.constant(-2), 2],
    ["zeros", nn.zeros(), 0],
  ] as const)("%s has the deviation of torch.nn.init", (_, init, expected) => {
    const data = init(shape, randomStream(1, 2));
    expect(data).toHaveLength(9000);
    expect(Math.abs(deviation(data) - expected)).toBeLessThanOrEqual(0.03 * expected);
  });

  it("can be chosen, and must be as many as there are elements", () => {
    const own: nn.Initializer = (shape) => Float32Array.from({ length: shape[0]! * (shape[1] ?? 1) }, (_, k) => k);
    const model = sequential([2], [linear(3, { weightInit: own, biasInit: nn.constant(9) })]);
    expect(model.init().map(({ data }) => [...data])).toEqual([
      [0, 1, 2, 3, 4, 5],
      [9, 9, 9],
    ]);
    const short = sequential([2], [linear(3, { weightInit: () => new Float32Array(5) })]);
    expect(() => short.init()).toThrow("fc1.weight: init must return 6 values, got 5");
  });
});

describe("what is told of mistakes", () => {
  test.each<[string, () => unknown, string]>([
    [
      "an image into linear",
      () => sequential([1, 4, 4], [linear(3)]),
      "fc1: input must be [features] or [time, features]: flatten it first, got [1,4,4]",
    ],
    [
      "another size",
      () => sequential([5], [reshape([2, 3])]),
      "reshape1: input must have 6 elements for [2, 3], got [5]",
    ],
    [
      "a sum of different shapes",
      () => graph([5], (x) => add(x, x.pipe(linear(4)))),
      'add1: inputs must have equal shapes, got "[5] and [4]"',
    ],
    [
      "parts that do not fit",
      () => graph([5], (x) => concat([x.pipe(reshape([1, 5])), x.pipe(reshape([5, 1]))])),
      'concat1: inputs must be equal but for the first extent, got "[1, 5] and [5, 1]"',
    ],
    [
      "values of two graphs",
      () =>
        graph([5], (x) => {
          let y = x;
          graph([5], (z) => {
            y = z;
            return z.pipe(linear(1));
          });
          return add(x, y);
        }),
      "add1: inputs must be values of one graph",
    ],
    ["no layers", () => sequential([5], []), 'graph: build must make its output from the input, got "input"'],
    [
      "no value",
      () => graph([5], () => undefined as never),
      "graph: build must return a value of the graph, got undefined",
    ],
    ["no builder", () => graph([4], 5 as never), "graph: build must be a function from the input to the output, got 5"],
    [
      "one way that meets none",
      () => graph([4], (x) => add(x, undefined as never)),
      "add: inputs[1] must be a value of the graph, got undefined",
    ],
    ["no way", () => add(3 as never, 4 as never), "add: inputs[0] must be a value of the graph, got 3"],
    [
      "no list of ways",
      () => graph([4], (x) => concat(x as never)),
      "concat: inputs must be a list of values, got Value",
    ],
    [
      "no layer",
      () => sequential([5], [7 as never]),
      "pipe: part must be a layer, a function of values, or a list of these, got 7",
    ],
    [
      "a function of nothing",
      () => sequential([5], [() => 3 as never]),
      "pipe: part must return a value of the graph, got 3",
    ],
    ["no shape", () => sequential([0], [linear(3)]), "graph: input must be a list of whole numbers >= 1, got [0]"],
    ["no size", () => linear(0), "linear: outFeatures must be a whole number in [1, 16777216], got 0"],
    [
      "an option misspelt",
      () => linear(3, { biass: false } as never),
      "linear: biass is no option; known: name, bias, tied, weightInit, biasInit, got false",
    ],
    ["a bias that is no flag", () => linear(3, { bias: 1 } as never), "linear: bias must be true or false, got 1"],
    [
      "an initializer that is none",
      () => linear(3, { weightInit: 0 } as never),
      "linear: weightInit must be an initializer such as kaimingNormal(), got 0",
    ],
    [
      "a mode that is none",
      () => nn.kaimingNormal({ mode: "fan_in" as never }),
      'kaimingNormal: mode must be "fanIn" or "fanOut", got "fan_in"',
    ],
    [
      "fans of one extent",
      () => nn.xavierNormal()([5], randomStream(0, 0)),
      'xavierNormal: shape must have at least two extents, got "[5]"',
    ],
    [
      "a seed that is none",
      () => sequential([5], [linear(3)]).init(-1),
      "init: seed must be a whole number in [0, 4294967295], got -1",
    ],
  ])("%s", (_, make, message) => {
    let error: unknown;
    try {
      make();
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(OptionError);
    expect((error as Error).message.startsWith(message), (error as Error).message).toBe(true);
  });
});

it("summary() prints layers, shapes, parameters and bytes", () => {
  const model = sequential([784], [reshape([1, 28, 28]), flatten(), linear(128), relu(), linear(10)]);
  expect(model.summary()).toBe(
    `layer     kind     input     output       tensors                        params  bytes/sample
reshape1  reshape  input     [1, 28, 28]                                                    0
flatten1  flatten  reshape1  [784]                                                          0
fc1       linear   flatten1  [128]        weight [128, 784], bias [128]  100480           512
relu1     relu     fc1       [128]                                                        512
fc2       linear   relu1     [10]         weight [10, 128], bias [10]      1290            48
input [784], output [10]
101770 parameters in 4 tensors, 407080 bytes
activations 1072 bytes for each sample`,
  );
});

it("decayGroups finds what is not to be decayed", () => {
  const model = sequential([6], [linear(5), linear(2)]);
  const [plain] = decayGroups(model.params, { weightDecay: 0.1 });
  const match = plain!.match as (tensor: nn.ModelTensor) => boolean;
  expect(model.params.filter(match).map(({ name }) => name)).toEqual(["fc1.bias", "fc2.bias"]);
});
