/**
 * A small ONNX model, written byte by byte: an ONNX file is one protobuf message, ModelProto, and a protobuf message is a list of
 * fields, each a tag (number and wire type), and for what is not a number a length. Field numbers are those of onnx.proto
 * (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
 */

type Bytes = readonly number[] | Uint8Array;

/** Base 128, low digits first, the high bit set on all but the last. For whole numbers from 0 to 2^53. */
function varint(value: number): number[] {
  const digits = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...digits, rest];
    digits.push((rest % 128) | 128);
  }
}

const NUMBER = 0;
const LENGTH_DELIMITED = 2;

/** A field of a message: a number, a text, or the bytes of a message inside. */
function field(number: number, value: number | string | Bytes): number[] {
  if (typeof value === "number") return [...varint(number * 8 + NUMBER), ...varint(value)];
  const bytes = typeof value === "string" ? new TextEncoder().encode(value) : value;
  return [...varint(number * 8 + LENGTH_DELIMITED), ...varint(bytes.length), ...bytes];
}

const FLOAT = 1;

/** TensorProto: values of float32, row-major. */
function tensor(name: string, shape: readonly number[], values: Float32Array): number[] {
  const dims = shape.flatMap((d) => field(1, d));
  return [...dims, ...field(2, FLOAT), ...field(8, name), ...field(9, new Uint8Array(values.buffer))];
}

/** ValueInfoProto: name, type and shape of an input or output; a dimension that may vary has a name. */
function valueInfo(name: string, shape: readonly (number | string)[]): number[] {
  const dims = shape.flatMap((d) => field(1, field(typeof d === "number" ? 1 : 2, d)));
  return [...field(1, name), ...field(2, field(1, [...field(1, FLOAT), ...field(2, dims)]))];
}

/** NodeProto: an operator with its inputs, outputs and attributes, which are lists of whole numbers here, or one. */
function node(
  operator: string,
  inputs: readonly string[],
  output: string,
  attributes: Readonly<Record<string, number | readonly number[]>> = {},
): number[] {
  const INT = 2;
  const INTS = 7;
  const encoded = Object.entries(attributes).flatMap(([name, value]) => {
    const content =
      typeof value === "number"
        ? [...field(3, value), ...field(20, INT)]
        : [...value.flatMap((n) => field(8, n)), ...field(20, INTS)];
    return field(5, [...field(1, name), ...content]);
  });
  return [...inputs.flatMap((name) => field(1, name)), ...field(2, output), ...field(4, operator), ...encoded];
}

const SIZE = 5;
/** Filters of the backbone: pairs of opposite signs. */
export const CHANNELS = 16;
/** Features of an image: the channels on a grid of 7 x 7. */
export const FEATURES = CHANNELS * 7 * 7;

/** Edges and waves: the first products of cosines of the 5 x 5 discrete cosine transform without the constant, and their negatives. */
function filters(): Float32Array {
  const wave = (k: number, x: number) => Math.cos((Math.PI * k * (2 * x + 1)) / (2 * SIZE));
  const pairs = Array.from({ length: SIZE * SIZE }, (_, i) => [i % SIZE, Math.floor(i / SIZE)] as const)
    .slice(1)
    .sort(([a, b], [c, d]) => a + b - c - d)
    .slice(0, CHANNELS / 2);
  const values = pairs.flatMap(([kx, ky]) => {
    const filter = Array.from(
      { length: SIZE * SIZE },
      (_, i) => 0.3 * wave(kx, i % SIZE) * wave(ky, Math.floor(i / SIZE)),
    );
    return [...filter, ...filter.map((v) => -v)];
  });
  return Float32Array.from(values);
}

/** Images `[count, 1, 28, 28]` to features `[count, FEATURES]`: a convolution with fixed filters, ReLU, the largest of 2 x 2. */
export function backboneModel(): Uint8Array<ArrayBuffer> {
  const graph = [
    ...field(
      1,
      node("Conv", ["images", "filters"], "waves", { kernel_shape: [SIZE, SIZE], strides: [2, 2], pads: [2, 2, 2, 2] }),
    ),
    ...field(1, node("Relu", ["waves"], "rectified")),
    ...field(1, node("MaxPool", ["rectified"], "pooled", { kernel_shape: [2, 2], strides: [2, 2] })),
    ...field(1, node("Flatten", ["pooled"], "features", { axis: 1 })),
    ...field(2, "backbone"),
    ...field(5, tensor("filters", [CHANNELS, 1, SIZE, SIZE], filters())),
    ...field(11, valueInfo("images", ["count", 1, 28, 28])),
    ...field(12, valueInfo("features", ["count", FEATURES])),
  ];
  const OPERATORS = 13;
  const IR_VERSION = 8;
  return Uint8Array.from([...field(1, IR_VERSION), ...field(7, graph), ...field(8, field(2, OPERATORS))]);
}
