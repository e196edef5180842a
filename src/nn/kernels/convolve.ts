/**
 * The two kernels that convolutions and transposed convolutions share: what the one does forward, the other does backward to
 * its input.
 */
import anyText from "../../../shaders/nn/conv2d/any.wgsl?raw";
import four from "../../../shaders/nn/conv2d/channels/four.wgsl?raw";
import one from "../../../shaders/nn/conv2d/channels/one.wgsl?raw";
import direct3x3Text from "../../../shaders/nn/conv2d/direct-3x3.wgsl?raw";
import bias from "../../../shaders/nn/conv2d/epilogue/bias.wgsl?raw";
import mask from "../../../shaders/nn/conv2d/epilogue/mask.wgsl?raw";
import plain from "../../../shaders/nn/conv2d/epilogue/plain.wgsl?raw";
import kernels from "../../../shaders/nn/conv2d/kernels.wgsl?raw";
import lines from "../../../shaders/nn/conv2d/lines.wgsl?raw";
import planesText from "../../../shaders/nn/conv2d/planes.wgsl?raw";
import backward from "../../../shaders/nn/conv2d/reach/backward.wgsl?raw";
import forward from "../../../shaders/nn/conv2d/reach/forward.wgsl?raw";
import bytesText from "../../../shaders/nn/conv2d/source/bytes.wgsl?raw";
import f32Text from "../../../shaders/nn/conv2d/source/f32.wgsl?raw";
import floats from "../../../shaders/nn/conv2d/target/floats.wgsl?raw";
import pairs from "../../../shaders/nn/conv2d/target/pairs.wgsl?raw";
import quads from "../../../shaders/nn/conv2d/target/quads.wgsl?raw";
import transposed3x3Text from "../../../shaders/nn/conv2d/transposed-3x3.wgsl?raw";
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

/** How results are stored: as many neighbouring pixels at once as no line ends in the middle of. */
function targetOf([, width]: Extent, neighbours: boolean): WgslFile {
  if (!neighbours) return { path: "nn/conv2d/target/floats.wgsl", text: floats };
  if (width % 4 === 0) return { path: "nn/conv2d/target/quads.wgsl", text: quads };
  if (width % 2 === 0) return { path: "nn/conv2d/target/pairs.wgsl", text: pairs };
  return { path: "nn/conv2d/target/floats.wgsl", text: floats };
}

/** Whether the kernels for 3 x 3 apply. */
export function is3x3({ kernel }: Planes): boolean {
  return kernel[0] === 3 && kernel[1] === 3;
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

/** Whether pixels are convolved each on its own: a kernel of 1 x 1, without stride. */
export function isPointwise({ kernel, stride, padding, inExtent, outExtent }: Planes): boolean {
  const ones = [...kernel, ...stride].every((n) => n === 1) && [...padding].every((n) => n === 0);
  return ones && inExtent.every((n, i) => n === outExtent[i]);
}

/** Where lines end makes no difference to it: those of 4 pixels leave no tile more than three pixels too many. */
function inQuads(planes: Planes): Planes {
  const pixels = planes.inExtent[0] * planes.inExtent[1];
  if (!isPointwise(planes) || pixels % 4 !== 0) return planes;
  const extent = [pixels / 4, 4] as const;
  return { ...planes, inExtent: extent, outExtent: extent };
}

/** From `in` to `out`: a convolution forward, or a transposed one backward to its input. */
export function direct<Name extends string>(
  device: GPUDevice,
  label: string,
  given: Planes,
  epilogue: Epilogue,
  names: Names<Name>,
): Promise<Operation<Name>> {
  const planes = inQuads(given);
  const source = { channels: planes.inChannels, extent: planes.inExtent };
  const target = { channels: planes.outChannels, extent: planes.outExtent };
  const constants = { ...windowsOf(planes), ...(is3x3(planes) ? {} : forwardSteps(planes)) };
  const text = is3x3(planes) ? DIRECT_3X3 : FORWARD;
  return convolve(device, label, text, planes, source, target, sourceOf(planes), epilogue, constants, names);
}

/** From `out` to `in`: a convolution backward to its input, or a transposed one forward. */
export function transposed<Name extends string>(
  device: GPUDevice,
  label: string,
  given: Planes,
  epilogue: Epilogue,
  names: Names<Name>,
): Promise<Operation<Name>> {
  const planes = inQuads(given);
  const { text, constants } = backwardOf(planes);
  const source = { channels: planes.outChannels, extent: planes.outExtent };
  const target = { channels: planes.inChannels, extent: planes.inExtent };
  const fromFloats = sourceOf({ ...planes, bytes: undefined });
  return convolve(device, label, text, planes, source, target, fromFloats, epilogue, constants, names);
}

/** What the kernel for any size wants to know in this direction. */
function forwardSteps(planes: Planes): Record<string, number> {
  const ALL_EXIST = Number([...planes.padding].every((n) => n === 0));
  return { ...taps(planes), LINE_STEP: 1, PIXEL_STEP: 1, ALL_EXIST };
}

/** The kernel from `out` to `in`. */
function backwardOf(planes: Planes): { text: Text; constants: Readonly<Record<string, number>> } {
  const { stride, padding, dilation } = planes;
  const windows = windowsOf(planes);
  const every = (pair: Extent, value: number) => pair[0] === value && pair[1] === value;
  if (is3x3(planes) && every(stride, 1)) {
    const [PAD_Y, PAD_X] = [2 * dilation[0] - padding[0], 2 * dilation[1] - padding[1]];
    return { text: DIRECT_3X3, constants: { ...windows, PAD_Y, PAD_X, FLIPPED: 1 } };
  }
  // It walks over the source, and that without leaving any out.
  if (is3x3(planes) && every(stride, 2) && every(dilation, 1))
    return { text: TRANSPOSED_3X3, constants: { ...windows, STRIDE_Y: 1, STRIDE_X: 1 } };
  const [LINE_STEP, PIXEL_STEP] = stride;
  const point = [...planes.kernel].every((n) => n === 1) && [...padding].every((n) => n === 0);
  const covered = planes.inExtent.every((n, i) => Math.ceil(n / stride[i]!) <= planes.outExtent[i]!);
  const ALL_EXIST = Number(point && covered);
  return { text: BACKWARD, constants: { ...windows, ...taps(planes), LINE_STEP, PIXEL_STEP, ALL_EXIST } };
}

interface Text extends Pick<Kernel, "name" | "file" | "entryPoint"> {
  readonly imports: Readonly<Record<string, WgslFile>>;
  /** Pixels of a register tile. */
  readonly tile: Extent;
}

const PLANES: Readonly<Record<string, WgslFile>> = {
  ...FLAT_INDEX,
  "nn/conv2d/planes": { path: "nn/conv2d/planes.wgsl", text: planesText },
};

/** Lines of the source as kernels for 3 x 3 see them. */
export const LINES: Readonly<Record<string, WgslFile>> = {
  "nn/conv2d/lines": { path: "nn/conv2d/lines.wgsl", text: lines },
};

const OF_3X3 = {
  ...PLANES,
  ...LINES,
  "nn/conv2d/kernels": { path: "nn/conv2d/kernels.wgsl", text: kernels },
};

const DIRECT_3X3: Text = {
  name: "conv2d-3x3",
  file: { path: "nn/conv2d/direct-3x3.wgsl", text: direct3x3Text },
  entryPoint: "conv2d_3x3",
  imports: OF_3X3,
  tile: [4, 4],
};
const TRANSPOSED_3X3: Text = {
  name: "conv2d-3x3-transposed",
  file: { path: "nn/conv2d/transposed-3x3.wgsl", text: transposed3x3Text },
  entryPoint: "conv2d_3x3_transposed",
  imports: OF_3X3,
  tile: [4, 8],
};
const FORWARD: Text = {
  name: "conv2d-any",
  file: { path: "nn/conv2d/any.wgsl", text: anyText },
  entryPoint: "conv2d_any",
  imports: { ...PLANES, reach: { path: "nn/conv2d/reach/forward.wgsl", text: forward } },
  tile: [4, 4],
};
const BACKWARD: Text = {
  ...FORWARD,
  imports: { ...PLANES, reach: { path: "nn/conv2d/reach/backward.wgsl", text: backward } },
};

/** How many channels a register tile has. */
const CHANNELS = {
  one: { path: "nn/conv2d/channels/one.wgsl", text: one },
  four: { path: "nn/conv2d/channels/four.wgsl", text: four },
} as const;

interface Side {
  readonly channels: number;
  readonly extent: Extent;
}

function convolve<Name extends string>(
  device: GPUDevice,
  label: string,
  { name, file, entryPoint, imports, tile }: Text,
  { rows, groups }: Planes,
  source: Side,
  target: Side,
  elements: { file: WgslFile; constants: Record<string, number> },
  epilogue: Epilogue,
  constants: Readonly<Record<string, number>>,
  names: Names<Name>,
): Promise<Operation<Name>> {
  const [height, width] = target.extent;
  const deep = target.channels > 1;
  const TILE_CHANNELS = deep ? 4 : 1;
  const { LINE_STEP = 1, PIXEL_STEP = 1 } = constants;
  const [TILE_HEIGHT, TILE_WIDTH] = [tile[0] * LINE_STEP, tile[1] * PIXEL_STEP];
  const tiles =
    Math.ceil(height / TILE_HEIGHT) * Math.ceil(width / TILE_WIDTH) * Math.ceil(target.channels / TILE_CHANNELS);
  const { grid, WORKGROUP_SIZE } = flatGrid(LINE_STEP * PIXEL_STEP * rows * groups * tiles);
  const bindings: [Name, "read" | "write"][] = [
    [names.source, "read"],
    [names.weight, "read"],
    [names.result, "write"],
  ];
  if (epilogue.kind !== "plain") bindings.push([names.extra, "read"]);
  const kernel = { name, file, entryPoint, bindings } as unknown as KernelOf<Operation<Name>>;
  const linked = {
    ...imports,
    channels: deep ? CHANNELS.four : CHANNELS.one,
    source: elements.file,
    epilogue: EPILOGUES[epilogue.kind]!,
    target: targetOf(target.extent, PIXEL_STEP === 1),
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
    TILE_HEIGHT,
    TILE_WIDTH,
    TILE_CHANNELS,
    ...elements.constants,
    ...(epilogue.relu === undefined ? {} : { RELU: Number(epilogue.relu) }),
  };
  return Operation.compile(device, label, kernel, linked, { ...sizes, ...constants }, grid);
}

/** Where windows are. */
export function windowsOf({ stride, padding, dilation }: Planes): Record<string, number> {
  return {
    STRIDE_Y: stride[0],
    STRIDE_X: stride[1],
    PAD_Y: padding[0],
    PAD_X: padding[1],
    DILATION_Y: dilation[0],
    DILATION_X: dilation[1],
  };
}

/** How large they are, for kernels that are for any size. */
export function taps({ kernel }: Planes): Record<string, number> {
  return { KERNEL_Y: kernel[0], KERNEL_X: kernel[1] };
}
