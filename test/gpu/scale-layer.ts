/** A user's own layer: `y = x weight`, feature by feature. The example of docs/training-kit.md. */
import { type BackwardSite, type Layer, ones, type Site, wgslKernel } from "../../src/nn/index.ts";
import MULTIPLY from "./scale-multiply.wgsl?raw";
import WEIGHT_GRADIENT from "./scale-weight-gradient.wgsl?raw";

interface Size {
  readonly ROWS: number;
  readonly FEATURES: number;
  readonly QUADS: number;
}

const multiply = (device: GPUDevice, label: string, size: Size) =>
  wgslKernel(device, label, {
    wgsl: MULTIPLY,
    bindings: { a: "read", weight: "read", product: "write" },
    constants: { ...size },
    workgroups: [Math.ceil(size.QUADS / 64), size.ROWS],
  });

const weightGradient = (device: GPUDevice, label: string, size: Size) =>
  wgslKernel(device, label, {
    wgsl: WEIGHT_GRADIENT,
    bindings: { outputGradient: "read", input: "read", gradient: "write" },
    constants: { ...size },
    workgroups: [Math.ceil(size.FEATURES / 64), 1],
  });

/** `wrong` gives gradients that are those of something else. */
export function scale({ wrong = false } = {}): Layer {
  const sizeAt = ({ rows, outputShape: [features = 0] }: Site): Size => {
    return { ROWS: rows, FEATURES: features, QUADS: Math.ceil(features / 4) };
  };
  return {
    kind: "scale",
    prefix: "scale",
    infer: ([shape = []]) => ({ output: shape, params: { weight: { shape, init: ones() } } }),
    forward(site) {
      const places = { a: site.input(), weight: site.param("weight"), product: site.output };
      site.run(site.kernel(multiply, sizeAt(site), {}), places, ["product"]);
    },
    backward(site: BackwardSite) {
      const { outputGradient } = site;
      const gradient = site.paramGradient("weight");
      const input = wrong ? outputGradient : site.input();
      site.run(site.kernel(weightGradient, sizeAt(site), {}), { outputGradient, input, gradient }, ["gradient"]);
      const product = site.inputGradient();
      if (!product) return;
      const places = { a: outputGradient, weight: site.param("weight"), product };
      site.run(site.kernel(multiply, sizeAt(site), {}), places, ["product"]);
    },
  };
}
