/** Orthogonalizes matrices in place. Owns the scratch and everything that a dispatch needs. */
import { OptionError } from "../errors.ts";
import {
  type Matrices,
  type NewtonSchulzPlan,
  type PlannedDispatch,
  planNewtonSchulz,
} from "../kernels/newton-schulz-plan.ts";
import type { Limits } from "./limits.ts";
import type { BufferRange } from "./memory.ts";
import { type Compiled, compileKernel } from "./pipelines.ts";
import { inScopes } from "./scopes.ts";

/** What {@link createNewtonSchulz} is given. */
export interface NewtonSchulzOptions {
  readonly label: string;
  readonly limits: Limits;
  /** Invocations per workgroup: a power of two, at most 64. Default 64. */
  readonly workgroup?: number;
  readonly matrices: readonly Matrices[];
  /** Where they lie; stays the caller's. */
  readonly buffer: GPUBuffer;
  /** The part of it that is bound, in bytes, at most `maxStorageBufferBindingSize`; offsets of matrices count from there. Default all. */
  readonly range?: { readonly offset: number; readonly size: number };
  /** Of one buffer of scratch, unless a single matrix needs more. Default 64 MiB. */
  readonly maxScratchBytes?: number;
}

/** Matrices that are to be orthogonalized again and again. */
export interface NewtonSchulz {
  /** Records the orthogonalization of all matrices. Makes nothing. */
  encode(pass: GPUComputePassEncoder): void;
  /** Dispatches of one {@link encode}: 2 + 3 for each step, for each class of equal matrices. */
  readonly dispatches: number;
  /** Bytes of all scratch. */
  readonly scratchBytes: number;
  destroy(): void;
}

const RECORD_STRIDE = 256;
const UNIFORM = 0x40;
const STORAGE = 0x80;
const COPY_DST = 0x8;
const WHERE = "createNewtonSchulz";

/** What one dispatch sets. */
interface Ready {
  readonly pipeline: GPUComputePipeline;
  readonly group: GPUBindGroup;
  readonly offset: readonly [number];
  readonly workgroups: readonly [number, number, number];
}

/**
 * Makes what the orthogonalization of `matrices` needs. Matrices of equal shape and options share their dispatches.
 *
 * A non-finite element makes its whole matrix non-finite; a matrix of zeros stays zero.
 *
 * @throws {OptionError} for a matrix that does not lie within the buffer, or has no step.
 * @throws {ShaderError} if the device refuses a kernel.
 * @throws {DeviceError} if it has no memory for the scratch.
 */
export async function createNewtonSchulz(device: GPUDevice, options: NewtonSchulzOptions): Promise<NewtonSchulz> {
  const { limits, workgroup = 64, matrices, buffer, maxScratchBytes = 2 ** 26 } = options;
  const bound: BufferRange = { buffer, ...(options.range ?? { offset: 0, size: buffer.size }) };
  const label = `${options.label} newton-schulz`;
  matrices.forEach((m, i) => {
    checkMatrices(m, `matrices[${i}]`, bound);
  });
  const plan = planNewtonSchulz(matrices, {
    workgroup,
    maxComputeWorkgroupsPerDimension: limits.maxComputeWorkgroupsPerDimension,
    maxScratchBytes: Math.min(maxScratchBytes, limits.maxStorageBufferBindingSize, limits.maxBufferSize),
  });
  const pipelines = await compile(device, label, plan);
  const owned: GPUBuffer[] = [];
  const destroy = (): void => {
    for (const own of owned) own.destroy();
  };
  try {
    const ready = await inScopes(device, WHERE, () => prepare(device, label, plan, pipelines, bound, owned));
    return {
      encode(pass) {
        for (const { pipeline, group, offset, workgroups } of ready) {
          pass.setPipeline(pipeline);
          pass.setBindGroup(0, group, offset);
          pass.dispatchWorkgroups(...workgroups);
        }
      },
      dispatches: ready.length,
      scratchBytes: Object.values(plan.scratch).reduce((sum, bytes) => sum + bytes, 0),
      destroy,
    };
  } catch (error) {
    destroy();
    throw error;
  }
}

function checkMatrices({ offset, rows, cols, batch = 1, polynomials }: Matrices, at: string, range: BufferRange): void {
  for (const [name, value] of Object.entries({ rows, cols, batch })) {
    if (!Number.isInteger(value) || value < 1)
      throw new OptionError(WHERE, `${at}.${name}`, "must be a whole number from 1", value);
  }
  if (!Number.isInteger(offset) || offset < 0 || offset % 64 !== 0)
    throw new OptionError(WHERE, `${at}.offset`, "must be a multiple of 64", offset);
  const most = range.size / 4 - batch * rows * cols;
  if (offset > most)
    throw new OptionError(WHERE, `${at}.offset`, `must be at most ${most}: what is bound ends there`, offset);
  if (polynomials.length === 0)
    throw new OptionError(WHERE, `${at}.polynomials`, "must have one for each of the steps", polynomials);
}

async function compile(device: GPUDevice, label: string, plan: NewtonSchulzPlan): Promise<Map<string, Compiled>> {
  const variants = new Map(plan.dispatches.map(({ variant }) => [variant.name, variant]));
  const jobs = [...variants.values()].map(async ({ name, kernel, links, constants }) => {
    return [name, await compileKernel(device, `${label} ${name}`, kernel, links, constants)] as const;
  });
  // All are awaited in any case, so that none rejects unheard.
  const settled = await Promise.allSettled(jobs);
  return new Map(
    settled.map((result) => {
      if (result.status === "rejected") throw result.reason;
      return result.value;
    }),
  );
}

/** Makes buffers, which go to `owned`, and bind groups. */
function prepare(
  device: GPUDevice,
  label: string,
  { dispatches, table, scratch }: NewtonSchulzPlan,
  pipelines: ReadonlyMap<string, Compiled>,
  matrices: BufferRange,
  owned: GPUBuffer[],
): Ready[] {
  const make = (name: string, size: number, usage: number): GPUBuffer => {
    const buffer = device.createBuffer({ label: `${label} ${name}`, size: Math.max(16, size), usage });
    owned.push(buffer);
    return buffer;
  };
  const buffers: Record<string, GPUBuffer> = {};
  for (const [name, bytes] of Object.entries(scratch)) if (bytes > 0) buffers[name] = make(name, bytes, STORAGE);
  buffers.table = make("table", table.byteLength, STORAGE | COPY_DST);
  device.queue.writeBuffer(buffers.table, 0, table);
  const records = make("records", dispatches.length * RECORD_STRIDE, UNIFORM | COPY_DST);
  dispatches.forEach(({ record }, i) => {
    device.queue.writeBuffer(records, i * RECORD_STRIDE, record.u32);
  });

  const groups = new Map<string, GPUBindGroup>();
  const groupOf = ({ variant, places, record }: PlannedDispatch, { layout }: Compiled): GPUBindGroup => {
    const key = JSON.stringify([variant.name, places]);
    const known = groups.get(key);
    if (known) return known;
    const entries = variant.kernel.bindings.map(([name, kind], binding) => {
      if (kind === "header") return { binding, resource: { buffer: records, offset: 0, size: record.u32.byteLength } };
      const place = places[name] ?? name;
      return { binding, resource: place === "matrices" ? matrices : { buffer: buffers[place] as GPUBuffer } };
    });
    const group = device.createBindGroup({ label: `${label} ${variant.name}`, layout, entries });
    groups.set(key, group);
    return group;
  };
  return dispatches.map((dispatch, i) => {
    const compiled = pipelines.get(dispatch.variant.name) as Compiled;
    return {
      pipeline: compiled.pipeline,
      group: groupOf(dispatch, compiled),
      offset: [i * RECORD_STRIDE],
      workgroups: dispatch.workgroups,
    };
  });
}
