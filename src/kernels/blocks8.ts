import blocks8 from "../../shaders/state/blocks8.wgsl?raw";
import blocks from "../../shaders/walk/blocks.wgsl?raw";
import { F32X4, type Storage } from "./storage.ts";

/** State in 8 bits, in blocks of 256 elements. */
export const BLOCKS8: Storage = {
  ...F32X4,
  name: "blocks8",
  files: {
    ...F32X4.files,
    state: { path: "state/blocks8.wgsl", text: blocks8 },
    walk: { path: "walk/blocks.wgsl", text: blocks },
  },
  quantizes: true,
};
