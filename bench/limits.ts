/** What a run has to reach: ratios within one run and counts of calls, both meaningful on any machine. */
import type { CaseName } from "./cases.ts";
import {
  type CallCounts,
  isTimed,
  matrixCases,
  type Row,
  type SoakRow,
  type TimedSuite,
  type UpdateRow,
} from "./suite.ts";

/** One requirement, as measured. */
export interface Verdict {
  readonly what: string;
  readonly where: string;
  readonly measured: number;
  readonly required: string;
  readonly ok: boolean;
}

/** The heap may look this much larger after the second half of a soak; 10 000 steps that leak 32 bytes each exceed it. */
const HEAP_SLACK_BYTES = 256 * 1024;

/** How long an elementwise rule may take, in times of a kernel with its loads and stores and next to no arithmetic. */
export const RULE_OVER_FLOOR = 1.3;

type Value = (row: UpdateRow) => number;
const overOurs: Value = (row) => row.over_ours;
const oursOver: Value = (row) => 1 / row.over_ours;
const count =
  (name: keyof CallCounts): Value =>
  (row) =>
    row.counts[name];

interface Limit {
  /** Default `update`. */
  readonly suite?: TimedSuite;
  readonly what: string;
  readonly impl: string;
  readonly cases: readonly UpdateRow["case"][];
  readonly value: Value;
  readonly least?: number;
  readonly most?: number;
}

const every: readonly CaseName[] = ["cnn", "mlp", "many", "big", "mixed"];
const small: readonly CaseName[] = ["cnn", "mlp", "many"];
const fullest = "ours clip figures";
const onJax = "ours on jax-js";
const onTfjs = "ours on tfjs";

const limits: readonly Limit[] = [
  { what: "TF.js adam / ours", impl: "tfjs", cases: small, value: overOurs, least: 10 },
  { what: "TF.js adam / ours", impl: "tfjs", cases: ["big"], value: overOurs, least: 8 },
  { what: "jax-js jit / ours", impl: "jax-js", cases: small, value: overOurs, least: 5 },
  { what: "jax-js jit / ours", impl: "jax-js", cases: ["big"], value: overOurs, least: 4 },
  { what: "ours / stream floor", impl: "stream", cases: ["big"], value: oursOver, most: 1.25 },
  { what: "figures on / off", impl: "ours figures", cases: ["big", "many"], value: overOurs, most: 1.15 },
  { what: "clip on / off", impl: "ours clip", cases: ["big"], value: overOurs, most: 1.35 },
  { what: "host ms of a step", impl: "ours", cases: ["mixed"], value: (row) => row.host_ms, most: 0.1 },
  { what: "plain: dispatches", impl: "ours", cases: every, value: count("dispatches"), most: 1 },
  { what: "plain: submits", impl: "ours", cases: every, value: count("submits"), most: 1 },
  { what: "plain: createBuffer", impl: "ours", cases: every, value: count("createBuffer"), most: 0 },
  { what: "plain: createBindGroup", impl: "ours", cases: every, value: count("createBindGroup"), most: 0 },
  { what: "plain: writeBuffer", impl: "ours", cases: every, value: count("writeBuffer"), most: 2 },
  { what: "clip, skip, figures: dispatches", impl: fullest, cases: every, value: count("dispatches"), most: 4 },
  { what: "clip, skip, figures: submits", impl: fullest, cases: every, value: count("submits"), most: 1 },
  { suite: "jax", what: "jax-js jit / adapter", impl: "jax-js", cases: small, value: overOurs, least: 3 },
  { suite: "jax", what: "adapter: dispatches", impl: onJax, cases: ["cnn"], value: count("dispatches"), most: 8 + 2 },
  { suite: "jax", what: "adapter: dispatches", impl: onJax, cases: ["many"], value: count("dispatches"), most: 48 + 2 },
  { suite: "jax", what: "adapter: passes", impl: onJax, cases: small, value: count("passes"), most: 1 },
  { suite: "jax", what: "adapter: submits", impl: onJax, cases: small, value: count("submits"), most: 1 },
  { suite: "jax", what: "adapter: createBuffer", impl: onJax, cases: small, value: count("createBuffer"), most: 0 },
  { suite: "tfjs", what: "TF.js adam / adapter", impl: "tfjs", cases: small, value: overOurs, least: 5 },
  { suite: "tfjs", what: "adapter: dispatches", impl: onTfjs, cases: ["cnn"], value: count("dispatches"), most: 8 + 2 },
  {
    suite: "tfjs",
    what: "adapter: dispatches",
    impl: onTfjs,
    cases: ["many"],
    value: count("dispatches"),
    most: 48 + 2,
  },
  { suite: "tfjs", what: "adapter: passes", impl: onTfjs, cases: small, value: count("passes"), most: 1 },
  { suite: "tfjs", what: "adapter: submits", impl: onTfjs, cases: small, value: count("submits"), most: 1 },
  { suite: "tfjs", what: "adapter: createBuffer", impl: onTfjs, cases: small, value: count("createBuffer"), most: 0 },
  { suite: "train", what: "TF.js step / ours", impl: "tfjs", cases: ["mlp"], value: overOurs, least: 10 },
  { suite: "train", what: "TF.js step / ours", impl: "tfjs", cases: ["cnn"], value: overOurs, least: 20 },
  { suite: "train", what: "jax-js jit step / ours", impl: "jax-js", cases: ["mlp"], value: overOurs, least: 2 },
  { suite: "train", what: "jax-js jit step / ours", impl: "jax-js", cases: ["cnn"], value: overOurs, least: 4 },
  { suite: "train", what: "step: submits", impl: "ours", cases: ["mlp", "cnn"], value: count("submits"), most: 1 },
  { suite: "train", what: "step: dispatches", impl: "ours", cases: ["mlp"], value: count("dispatches"), most: 16 },
  {
    suite: "train",
    what: "step: createBuffer",
    impl: "ours",
    cases: ["mlp", "cnn"],
    value: count("createBuffer"),
    most: 0,
  },
  {
    suite: "train",
    what: "step: createBindGroup",
    impl: "ours",
    cases: ["mlp", "cnn"],
    value: count("createBindGroup"),
    most: 0,
  },
  { suite: "muon", what: "jax-js jit / ours", impl: "jax-js", cases: matrixCases, value: overOurs, least: 1.5 },
];

/** The verdict on every limit whose rows were measured. */
export function judge(rows: readonly Row[]): Verdict[] {
  return [
    ...limits.flatMap((limit) =>
      rows
        .filter(isTimed)
        .filter(
          (row) => row.suite === (limit.suite ?? "update") && row.impl === limit.impl && limit.cases.includes(row.case),
        )
        .map((row) => verdict(limit.what, row.case, limit.value(row), limit)),
    ),
    ...rows
      .filter((row) => row.suite === "rules")
      .map((row) => verdict("rule / its stream floor", row.case, row.ratio, { most: RULE_OVER_FLOOR })),
    ...rows.filter((row) => row.suite === "soak").flatMap(judgeSoak),
  ];
}

function judgeSoak({ steps, buffers, heap_bytes }: SoakRow): Verdict[] {
  const where = `${steps} steps`;
  return [
    verdict("soak: GPU buffers more", where, buffers.late - buffers.early, { most: 0 }),
    verdict("soak: heap bytes more", where, heap_bytes.late - heap_bytes.early, { most: HEAP_SLACK_BYTES }),
  ];
}

function verdict(
  what: string,
  where: string,
  measured: number,
  { least, most }: Pick<Limit, "least" | "most">,
): Verdict {
  const required = [least !== undefined && `>= ${least}`, most !== undefined && `<= ${most}`]
    .filter(Boolean)
    .join(", ");
  // Written so that NaN is not ok.
  const ok = (least === undefined || measured >= least) && (most === undefined || measured <= most);
  return { what, where, measured, required, ok };
}
