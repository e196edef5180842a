/** What the train suite asks of what it times. */
import type { Timed } from "./implementation.ts";

export interface Training extends Timed {
  /** That of the last step, before its update. */
  loss(): Promise<number>;
  destroy(): void;
}
