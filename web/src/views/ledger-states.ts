// The states of a stretch of the ledger: their names and colours, and which is seen where several meet.

import type { Answers, SeriesRow } from "marketd-client";

export type Stretch = Answers["GET /ledger"][number];
type State = Stretch["state"];

/** `token`: of the colour; `swatch`: of its class. */
export const STATES: readonly { state: State; title: string; token: string; swatch?: string }[] = [
  { state: "have", title: "have", token: "have" },
  { state: "known_empty", title: "known empty", token: "empty", swatch: "void" },
  { state: "repairing", title: "repairing", token: "repairing" },
  { state: "missing", title: "missing", token: "missing" },
  { state: "unrecoverable", title: "unrecoverable", token: "lost" },
];
export const WORST: readonly State[] = ["missing", "repairing", "unrecoverable", "known_empty", "have"];
export const NOT_KEPT = "stored, not kept here";

/** Its turn has not come: nothing is missing, and nothing is known either. */
export function isWaiting(row: SeriesRow): boolean {
  return row.count === 0 || row.last_job?.status === "pending" || (row.last_job === null && row.reason !== NOT_KEPT);
}

export function swatchOf(part: Stretch | null): string {
  const found = STATES.find((one) => one.state === part?.state);
  return found?.swatch ?? found?.token ?? "";
}
