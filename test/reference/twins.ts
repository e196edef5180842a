/** All float64 twins of rules, by the names under which the library exports, or is to export, the rules. */

import { adabelief } from "./adabelief.ts";
import { adadelta } from "./adadelta.ts";
import { adafactor } from "./adafactor.ts";
import { adagrad } from "./adagrad.ts";
import { adam, adamw } from "./adam.ts";
import { adamax } from "./adamax.ts";
import { adan } from "./adan.ts";
import { ademamix } from "./ademamix.ts";
import { adopt } from "./adopt.ts";
import { asgd } from "./asgd.ts";
import { lamb } from "./lamb.ts";
import { laprop } from "./laprop.ts";
import { lars } from "./lars.ts";
import { lion } from "./lion.ts";
import { madgrad } from "./madgrad.ts";
import { muon } from "./muon.ts";
import { nadam } from "./nadam.ts";
import { nadamw } from "./nadamw.ts";
import { novograd } from "./novograd.ts";
import { prodigy } from "./prodigy.ts";
import { radam } from "./radam.ts";
import { rmsprop } from "./rmsprop.ts";
import { rprop } from "./rprop.ts";
import type { TwinRule } from "./rule.ts";
import { scheduleFreeAdamw, scheduleFreeRadam, scheduleFreeSgd } from "./schedule-free.ts";
import { sgd } from "./sgd.ts";
import { signum } from "./signum.ts";
import { sophiag } from "./sophiag.ts";

export const TWINS: Readonly<Record<string, TwinRule>> = {
  adabelief,
  adadelta,
  adafactor,
  adagrad,
  adam,
  adamw,
  adamax,
  adan,
  ademamix,
  adopt,
  asgd,
  lamb,
  laprop,
  lars,
  lion,
  madgrad,
  muon,
  nadam,
  nadamw,
  novograd,
  prodigy,
  radam,
  rmsprop,
  rprop,
  scheduleFreeAdamw,
  scheduleFreeRadam,
  scheduleFreeSgd,
  sgd,
  signum,
  sophiag,
};
