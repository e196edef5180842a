/** An operation of several dispatches, which pass values on in a buffer that nobody else reads. */
import type { BufferSlice } from "../../engine/options.ts";
import type { Dispatch } from "../dispatch.ts";

export interface Steps<Name extends string> {
  /** Bytes of `scratch`, whose contents mean nothing before and after; with 0 it is not bound. */
  readonly scratchBytes: number;
  /** The dispatches on these buffers, in their order. */
  on(buffers: Readonly<Record<Name | "scratch", BufferSlice>>): readonly Dispatch[];
}
