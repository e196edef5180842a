/**
 * The two kernels that convolutions and transposed convolutions share: what the one does forward, the other does backward to
 * its input.
 */
import directText from "../../../shaders/nn/conv2d/direct.wgsl?raw";
import direct3x3Text from "../../../shaders/nn/conv2d/direct-3x3.wgsl?raw";
import bias from "../../../shaders/nn/conv2d/epilogue/bias.wgsl?raw";
import mask from "../../../shaders/nn/conv2d/epilogue/mask.wgsl?raw";
import plain from "../../../shaders/nn/conv2d/epilogue/plain.wgsl?raw";
import bytesText from "../../../shaders/nn/conv2d/source/bytes.wgsl?raw";
import f32Text from "../../../shaders/nn/conv2d/source/f32.wgsl?raw";
import floats from "../../../shaders/nn/conv2d/target/floats.wgsl?raw";
import pairs from "../../../shaders/nn/conv2d/target/pairs.wgsl?raw";
import quads from "../../../shaders/nn/conv2d/target/quads.wgsl?raw";
import transposedText from "../../../shaders/nn/conv2d/transposed.wgsl?raw";
import type { Kernel } from "../../kernels/kernel.ts";
import type { WgslFile } from "../../kernels/wgsl.ts";
import { quadsOf } from "../activation.ts";
import { type KernelOf, Operation } from "../dispatch.ts";
import type { ByteInput } from "../linear.ts";
import { FLAT_INDEX, flatGrid } from "./grid.ts";

/** Height and width. */
export type Extent = readonly [height: number, width: number];

/** A convolution from `in` planes to `out` planes; channels count within a group. */
export interface Planes {
  readonly rows: number;
  readonly groups: number;
  readonly inChannels: number;
  readonly inExtent: Extent;
  readonly outChannels: number;
  readonly outExtent: Extent;
  readonly kernel: Extent;
  readonly stride: Extent;
  readonly padding: Extent;
  readonly dilation: Extent;
  readonly bytes?: ByteInput | undefined;
}

/** What happens to a sum: `bias` adds one, `mask` makes it the gradient before a ReLU. */
export interface Epilogue {
  readonly kind: string;
  readonly relu?: boolean;
}

/** What the bindings are called by the caller. */
interface Names<Name extends string> {
  readonly source: Name;
  readonly weight: Name;
  readonly result: Name;
  /** The bias or the output of a ReLU; not bound by the epilogue `plain`. */
  readonly extra: Name;
}

const EPILOGUES: Readonly<Record<string, WgslFile>> = {
  bias: { path: "nn/conv2d/epilogue/bias.wgsl", text: bias },
  plain: { path: "nn/conv2d/epilogue/plain.wgsl", text: plain },
  mask: { path: "nn/conv2d/epilogue/mask.wgsl", text: mask },
};

/** How results are stored: as many pixels at once as no line ends in the middle of. */
function targetOf([, width]: Extent): WgslFile {
  if (width % 4 === 0) return { path: "nn/conv2d/target/quads.wgsl", text: quads };
  if (width % 2 === 0) return { path: "nn/conv2d/target/pairs.wgsl", text: pairs };
  return { path: "nn/conv2d/target/floats.wgsl", text: floats };
}

/** Whether the register-tiled kernels for 3 x 3 apply. */
export function isPlain3x3({ kernel, stride, dilation }: Planes): boolean {
  return [...kernel].every((k) => k === 3) && [...stride, ...dilation].every((s) => s === 1);
}

/** Floats of a row of `channels` planes. */
export function strideOf(channels: number, [height, width]: Extent): number {
  return 4 * quadsOf(channels * height * width);
}

/** How `in` planes are read. */
export function sourceOf({ bytes }: Planes): { file: WgslFile; constants: Record<string, number> } {
  if (!bytes) return { file: { path: "nn/conv2d/source/f32.wgsl", text: f32Text }, constants: {} };
  return {
    file: { path: "nn/conv2d/source/bytes.wgsl", text: bytesText },
    constants: { INPUT_SCALE: bytes.scale, INPUT_SHIFT: bytes.shift },
  };
}

/** From `in` to `out`: a convolution forward, or a transposed one backward to its input. */
export function direct<Name extends string>(
  device: GPUDevice,
  label: string,
  planes: Planes,
  epilogue: Epilogue,
  names: Names<Name>,
): Promise<Operation<Name>> {
  const fast = isPlain3x3(planes);
  const file: Text = fast ? DIRECT_3X3 : DIRECT;
  const source = { channels: planes.inChannels, extent: planes.inExtent };
  const target = { channels: planes.outChannels, extent: planes.outExtent };
  const [PAD_Y, PAD_X] = planes.padding;
  const constants = { PAD_Y, PAD_X, ...(fast ? { FLIPPED: 0 } : windows(planes)) };
  return convolve(device, label, file, planes, source, target, sourceOf(planes), epilogue, constants, names);
}

/** From `out` to `in`: a convolution backward to its input, or a transposed one forward. */
export function transposed<Name extends string>(
  device: GPUDevice,
  label: string,
  planes: Planes,
  epilogue: Epilogue,
  names: Names<Name>,
): Promise<Operation<Name>> {
  const fast = isPlain3x3(planes);
  const file: Text = fast ? DIRECT_3X3 : TRANSPOSED;
  const source = { channels: planes.outChannels, extent: planes.outExtent };
  const target = { channels: planes.inChannels, extent: planes.inExtent };
  const [y, x] = planes.padding;
  const constants = fast ? { PAD_Y: 2 - y, PAD_X: 2 - x, FLIPPED: 1 } : { PAD_Y: y, PAD_X: x, ...windows(planes) };
  const fromFloats = sourceOf({ ...planes, bytes: undefined });
  return convolve(device, label, file, planes, source, target, fromFloats, epilogue, constants, names);
}

interface Text extends Pick<Kernel, "name" | "file" | "entryPoint"> {
  /** Lines of a register tile, which is 4 pixels wide and 4 channels deep. */
  readonly lines: number;
}

const DIRECT: Text = {
  name: "conv2d-direct",
  file: { path: "nn/conv2d/direct.wgsl", text: directText },
  entryPoint: "conv2d_direct",
  lines: 2,
};
const TRANSPOSED: Text = {
  name: "conv2d-transposed",
  file: { path: "nn/conv2d/transposed.wgsl", text: transposedText },
  entryPoint: "conv2d_transposed",
  lines: 2,
};
const DIRECT_3X3: Text = {
  name: "conv2d-3x3",
  file: { path: "nn/conv2d/direct-3x3.wgsl", text: direct3x3Text },
  entryPoint: "conv2d_3x3",
  lines: 4,
};

interface Side {
  readonly channels: number;
  readonly extent: Extent;
}

function convolve<Name extends string>(
  device: GPUDevice,
  label: string,
  { name, file, entryPoint, lines }: Text,
  { rows, groups }: Planes,
  source: Side,
  target: Side,
  elements: { file: WgslFile; constants: Record<string, number> },
  epilogue: Epilogue,
  constants: Readonly<Record<string, number>>,
  names: Names<Name>,
): Promise<Operation<Name>> {
  const [height, width] = target.extent;
  const tiles = Math.ceil(height / lines) * Math.ceil(width / 4) * Math.ceil(target.channels / 4);
  const { grid, WORKGROUP_SIZE } = flatGrid(rows * groups * tiles);
  const bindings: [Name, "read" | "write"][] = [
    [names.source, "read"],
    [names.weight, "read"],
    [names.result, "write"],
  ];
  if (epilogue.kind !== "plain") bindings.push([names.extra, "read"]);
  const kernel = { name, file, entryPoint, bindings } as unknown as KernelOf<Operation<Name>>;
  const imports = {
    ...FLAT_INDEX,
    source: elements.file,
    epilogue: EPILOGUES[epilogue.kind]!,
    target: targetOf(target.extent),
  };
  const sizes = {
    WORKGROUP_SIZE,
    ROWS: rows,
    GROUPS: groups,
    SOURCE_CHANNELS: source.channels,
    SOURCE_HEIGHT: source.extent[0],
    SOURCE_WIDTH: source.extent[1],
    SOURCE_STRIDE: strideOf(groups * source.channels, source.extent),
    TARGET_CHANNELS: target.channels,
    TARGET_HEIGHT: height,
    TARGET_WIDTH: width,
    TARGET_STRIDE: strideOf(groups * target.channels, target.extent),
    ...elements.constants,
    ...(epilogue.relu === undefined ? {} : { RELU: Number(epilogue.relu) }),
  };
  return Operation.compile(device, label, kernel, imports, { ...sizes, ...constants }, grid);
}

function windows({ kernel, stride, dilation }: Planes): Record<string, number> {
  return {
    KERNEL_Y: kernel[0],
    KERNEL_X: kernel[1],
    STRIDE_Y: stride[0],
    STRIDE_X: stride[1],
    DILATION_Y: dilation[0],
    DILATION_X: dilation[1],
  };
}
