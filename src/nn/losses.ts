import { batchRecord } from "./batch.ts";
import type { Loss } from "./loss.ts";
import { softmaxCrossEntropy } from "./softmax-cross-entropy.ts";
export function crossEntropy(): Loss {
  return {
    kind: "crossEntropy",
    target: "classes",
    check: () => {},
    record(site) {
      site.run(
        site.kernel((d, l, s, _) => softmaxCrossEntropy(d, l, s), { rows: site.rows, classes: site.shape[0]! }, {}),
        {
          batch: site.batch,
          logits: site.output,
          labels: site.target,
          logitsGradient: site.outputGradient,
          outcomes: site.outcomes,
        },
        ["logitsGradient", "outcomes"],
      );
      site.run(
        site.kernel((d, l) => batchRecord(d, l), {}, {}),
        { batch: site.batch, outcomes: site.outcomes, labels: site.target, records: site.records },
        ["records"],
      );
    },
  };
}
