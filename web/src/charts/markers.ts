// What happened and what was corrected, as marks on the candles.

import type { SeriesMarker, Time, UTCTimestamp } from "lightweight-charts";
import { colour } from "../theme";
import type { Held } from "./candles";
import { chartColours } from "./look";
import type { Mark } from "./marks";

/** Oldest first. */
export function markersOf(marked: ReadonlyMap<number, readonly Mark[]>, shown: readonly Held[]): SeriesMarker<Time>[] {
  const look = chartColours();
  const tones = { signal: colour("signal"), feature: colour("vwap"), decision: colour("muted") };
  const drawn: SeriesMarker<Time>[] = [];
  for (const [time, marks] of marked) {
    for (const kind of ["fill", "signal", "feature", "decision"] as const) {
      for (const buys of [true, false]) {
        const its = marks.filter((one) => one.kind === kind && one.buys === buys);
        if (its.length === 0) continue; // several of a kind at one candle are one mark; all their reasons are shown on hover
        drawn.push({
          time: time as UTCTimestamp,
          position: buys ? "belowBar" : "aboveBar",
          shape: kind === "signal" || kind === "feature" ? "circle" : buys ? "arrowUp" : "arrowDown",
          color: kind === "fill" ? (buys ? look.up : look.down) : tones[kind],
          text: kind === "fill" ? its.map((one) => one.text).join(", ") : "",
          size: kind === "fill" ? 1.4 : 0.9,
        });
      }
    }
  }
  for (const one of shown) {
    if (one.revision > 0) drawn.push({ time: one.time as UTCTimestamp, position: "aboveBar", shape: "square", color: colour("lost"), text: `r${one.revision}`, size: 0.6 });
  }
  return drawn.sort((a, b) => Number(a.time) - Number(b.time));
}
