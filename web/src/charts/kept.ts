// What the chart was left with in this browser: the length of its candles and the indicators that were on.

import type { Study } from "./studies";

const KEPT = "marketd.chart";

interface Kept {
  timeframe: string;
  studies: Study[];
}

export function readKept(): Kept {
  const usual: Kept = { timeframe: "1m", studies: innerWidth > 700 ? ["ribbon", "bollinger", "squeeze", "stochastic"] : ["ribbon"] };
  try {
    return { ...usual, ...(JSON.parse(localStorage.getItem(KEPT) ?? "{}") as Partial<Kept>) };
  } catch {
    return usual;
  }
}

export function keep(change: Partial<Kept>): void {
  localStorage.setItem(KEPT, JSON.stringify({ ...readKept(), ...change }));
}
