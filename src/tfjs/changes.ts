/** Options that have been changed since creation: a saved optimizer has them again. */
import type { GroupOptions } from "../engine/groups.ts";
import type { Optimizer } from "../engine/optimizer.ts";

type Options = GroupOptions & Record<string, unknown>;

/** What was changed, for one group or (undefined) for all of them. */
export interface Change {
  readonly group?: string | number;
  readonly options: Options;
}

/** Changes in their order, without those that later ones have overtaken. */
export class Changes {
  #entries: Change[];

  constructor(entries: unknown = []) {
    this.#entries = [...(entries as Change[])];
  }

  get entries(): readonly Change[] {
    return this.#entries;
  }

  add(group: string | number | undefined, options: Options): void {
    const left = this.#entries.flatMap((entry): Change[] => {
      if (group !== undefined && entry.group !== group) return [entry];
      const kept = Object.entries(entry.options).filter(([name]) => !(name in options));
      return kept.length > 0 ? [{ ...entry, options: Object.fromEntries(kept) }] : [];
    });
    this.#entries = [...left, { ...(group !== undefined && { group }), options }];
  }

  apply(engine: Optimizer): void {
    for (const { group, options } of this.#entries) {
      if (group === undefined) engine.set(options);
      else engine.setGroup(group, options);
    }
  }
}
