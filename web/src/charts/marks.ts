// What was said and done about a series, and at which of its candles each stands.

/** Something that happened at a time, in s. */
export interface Mark {
  at: number;
  /** `signal` of the technical analysis, `feature` signal, `decision` of the paper trader that was not filled, its `fill`. */
  kind: "signal" | "feature" | "decision" | "fill";
  buys: boolean;
  /** In a few words. */
  text: string;
  /** What held, each in a line of its own. */
  reasons: readonly string[];
}

/** A candle's close is where its signal came to be: it stands at that candle, not at the next. What is older than all is left out. */
export function byCandle(marks: readonly Mark[], candles: readonly { time: number }[]): Map<number, Mark[]> {
  const found = new Map<number, Mark[]>();
  const first = candles[0]?.time ?? Infinity;
  for (const one of marks) {
    if (one.at <= first) continue;
    const time = atOrBefore(candles, one.at - 0.001);
    found.set(time, [...(found.get(time) ?? []), one]);
  }
  return found;
}

function atOrBefore(candles: readonly { time: number }[], at: number): number {
  let low = 0;
  let high = candles.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (candles[middle]!.time <= at) low = middle;
    else high = middle - 1;
  }
  return candles[low]!.time;
}
