/** What CallCounter counts; `dispatches` has direct and indirect ones. Calls that fail validation count as well. */
export interface CallCounts {
  dispatches: number;
  passes: number;
  encoders: number;
  submits: number;
  createBuffer: number;
  destroyBuffer: number;
  createBindGroup: number;
  /** Both the synchronous and the asynchronous form. */
  createComputePipeline: number;
  createShaderModule: number;
  writeBuffer: number;
  mapAsync: number;
  copyBufferToBuffer: number;
  /** Buffers created minus buffers destroyed since counting began; negative where older ones were destroyed. */
  liveBuffers: number;
  /** Bytes of those. */
  liveBytes: number;
}

/** A running count. */
export interface CallCounter {
  /** The counts so far, as a copy. */
  read(): CallCounts;
  /** Sets every count to zero. */
  reset(): void;
  /** Ends the counting and returns the last counts; the prototypes are as before when the last counter has stopped. */
  stop(): CallCounts;
}

type CallName = Exclude<keyof CallCounts, "liveBuffers" | "liveBytes">;

const NONE: CallCounts = {
  dispatches: 0,
  passes: 0,
  encoders: 0,
  submits: 0,
  createBuffer: 0,
  destroyBuffer: 0,
  createBindGroup: 0,
  createComputePipeline: 0,
  createShaderModule: 0,
  writeBuffer: 0,
  mapAsync: 0,
  copyBufferToBuffer: 0,
  liveBuffers: 0,
  liveBytes: 0,
};

/** Which method counts as what. A function, because the classes do not exist where WebGPU is missing. */
const countedMethods = (): [{ prototype: object }, string, CallName][] => [
  [GPUComputePassEncoder, "dispatchWorkgroups", "dispatches"],
  [GPUComputePassEncoder, "dispatchWorkgroupsIndirect", "dispatches"],
  [GPUCommandEncoder, "beginComputePass", "passes"],
  [GPUCommandEncoder, "copyBufferToBuffer", "copyBufferToBuffer"],
  [GPUDevice, "createCommandEncoder", "encoders"],
  [GPUQueue, "submit", "submits"],
  [GPUQueue, "writeBuffer", "writeBuffer"],
  [GPUDevice, "createBuffer", "createBuffer"],
  [GPUBuffer, "destroy", "destroyBuffer"],
  [GPUBuffer, "mapAsync", "mapAsync"],
  [GPUDevice, "createBindGroup", "createBindGroup"],
  [GPUDevice, "createComputePipeline", "createComputePipeline"],
  [GPUDevice, "createComputePipelineAsync", "createComputePipeline"],
  [GPUDevice, "createShaderModule", "createShaderModule"],
];

interface Counting {
  device: GPUDevice | undefined;
  counts: CallCounts;
}

const countings = new Set<Counting>();
let restore: (() => void) | undefined;

/** The device an object came from, as far as it came while something was counting. */
const deviceOf = new WeakMap<object, GPUDevice>();
/** destroy() may be called twice, the second time without effect. */
const destroyed = new WeakSet<object>();

/**
 * Counts WebGPU calls by wrapping the prototypes, so that calls of libraries count too, on devices nobody hands out.
 * Counting costs time: do not time what is counted.
 *
 * @param device - counts its calls alone; an object made before counting began (a buffer that is mapped now) is of
 * unknown device and counts always. Default: every device of the page.
 */
export function countCalls(device?: GPUDevice): CallCounter {
  const counting: Counting = { device, counts: { ...NONE } };
  countings.add(counting);
  restore ??= wrapPrototypes();
  const read = () => ({ ...counting.counts });
  return {
    read,
    reset: () => {
      counting.counts = { ...NONE };
    },
    stop: () => {
      countings.delete(counting);
      if (countings.size === 0) {
        restore?.();
        restore = undefined;
      }
      return read();
    },
  };
}

type Method = (this: object, ...args: unknown[]) => unknown;

function wrapPrototypes(): () => void {
  const undo = countedMethods().map(([{ prototype }, method, name]) => {
    const methods = prototype as Record<string, Method>;
    const original = methods[method]!;
    methods[method] = function (...args) {
      const owner = this instanceof GPUDevice ? this : deviceOf.get(this);
      if (this instanceof GPUDevice) deviceOf.set(this.queue, this);
      const result = original.apply(this, args);
      if (owner && typeof result === "object" && result !== null) deviceOf.set(result, owner);
      count(name, owner);
      if (result instanceof GPUBuffer) countLive(owner, 1, result.size);
      if (method === "destroy" && !destroyed.has(this)) {
        destroyed.add(this);
        countLive(owner, -1, -(this as GPUBuffer).size);
      }
      return result;
    };
    return () => {
      methods[method] = original;
    };
  });
  return () => {
    for (const put of undo) put();
  };
}

function counts(owner: GPUDevice | undefined): CallCounts[] {
  return [...countings]
    .filter(({ device }) => !device || !owner || device === owner)
    .map((counting) => counting.counts);
}

function count(name: CallName, owner: GPUDevice | undefined): void {
  for (const c of counts(owner)) c[name] += 1;
}

function countLive(owner: GPUDevice | undefined, buffers: number, bytes: number): void {
  for (const c of counts(owner)) {
    c.liveBuffers += buffers;
    c.liveBytes += bytes;
  }
}
