// What stands over the chart: the figures of a candle, why something is there or is not, and the candles as a table.

import type { Held } from "../charts/candles";
import type { Mark } from "../charts/marks";
import type { Hole } from "../charts/stage";
import type { Reading, Study } from "../charts/studies";
import type { Series } from "../charts/told";
import { fixed, moment, percent, price, size } from "../format";
import { Badge } from "../parts/pieces";

/** `key`: shows and hides it; `short`: with the periods of docs/analysis.md, in the order of its figures. */
export const STUDIES: readonly { study: Study; title: string; short: string; key: string }[] = [
  { study: "ribbon", title: "EMA ribbon", short: "EMA 8 13 21 34 55", key: "e" },
  { study: "bollinger", title: "Bollinger", short: "BB 20 2", key: "b" },
  { study: "vwap", title: "VWAP", short: "VWAP", key: "v" },
  { study: "squeeze", title: "TTM squeeze", short: "Squeeze 20", key: "s" },
  { study: "stochastic", title: "Stoch RSI", short: "Stoch RSI 14 14 3 3", key: "o" },
];

export function Legend({ held, series, before, holes, readings }: { held: Held | null; series: Series; before: Held | null; holes: Hole[]; readings: Reading[] }) {
  const change = held === null || before === null ? null : (100 * (held.close - before.close)) / before.close;
  const way = held !== null && held.close >= held.open ? "up" : "down";
  const lacking = holes.filter((one) => one.state !== "known_empty").length;
  return (
    <div class="chart-legend">
      <span class="legend-name">
        <b>{series.symbol}</b> <span class="muted">{series.venue} · {series.timeframe}</span>
        {lacking > 0 ? <Badge state="missing">{`${lacking} gap${lacking === 1 ? "" : "s"}`}</Badge> : null}
      </span>
      {held === null ? null : (
        <span class="legend-values">
          {(["open", "high", "low", "close"] as const).map((name) => (
            <span><i>{name[0]!.toUpperCase()}</i><b class={way}>{price(held.digits[name])}</b></span>
          ))}
          <span><i>V</i><b>{size(held.digits.volume)}</b></span>
          <span class={change === null ? "" : change >= 0 ? "up" : "down"}>{percent(change)}</span>
          {held.closed ? null : <span class="muted">forming</span>}
          {held.revision > 0 ? <span class="tag">revision {held.revision}</span> : null}
        </span>
      )}
      <span class="legend-studies">
        {readings.map((one) => (
          <span>
            <i>{STUDIES.find((known) => known.study === one.study)?.short}</i>
            {one.values.map(({ value, tone }) => <b style={{ borderColor: tone }}>{value === null ? "–" : fixed(value, one.digits)}</b>)}
          </span>
        ))}
      </span>
    </div>
  );
}

/** Why: what was said and done at the candle under the pointer, or why there is none. */
export function Tip({ x, y, marks, hole, width }: { x: number; y: number; marks: readonly Mark[]; hole: Hole | null; width: number }) {
  const left = x > width / 2 ? Math.max(8, x - 304) : x + 16;
  return (
    <div class="tip chart-tip" role="tooltip" style={{ left: `${left}px`, top: `${Math.max(44, y - 10)}px` }}>
      {hole === null ? null : (
        <div>
          <i class={`swatch ${hole.state === "known_empty" ? "void" : hole.state === "unrecoverable" ? "lost" : hole.state}`} /> <b>{hole.state.replace("_", " ")}</b>
          <div class="muted">{moment(hole.from * 1000)} – {moment(hole.to * 1000)}{hole.cause === "" ? "" : ` · ${hole.cause}`}</div>
        </div>
      )}
      {marks.slice(0, 6).map((one) => (
        <div>
          <i class={`mark-dot ${one.kind} ${one.buys ? "buy" : "sell"}`} /> <b>{one.text}</b>
          {one.reasons.map((reason) => <div class="muted">{reason}</div>)}
        </div>
      ))}
      {marks.length > 6 ? <div class="muted">and {marks.length - 6} more</div> : null}
    </div>
  );
}

export function Rows({ candles, close }: { candles: readonly Held[]; close: () => void }) {
  return (
    <div class="over candles-table" role="region" aria-label="The newest candles">
      <div class="scroll">
        <table class="grid" id="candles">
          <thead><tr><th>Open time</th><th class="n">Open</th><th class="n">High</th><th class="n">Low</th><th class="n">Close</th><th class="n">Volume</th><th /></tr></thead>
          <tbody>
            {candles.slice(-200).reverse().map((one, at) => (
              <tr key={one.time} data-time={one.time} data-closed={String(one.closed)}>
                <td class="mono">{moment(one.time * 1000)}</td>
                {(["open", "high", "low", "close", "volume"] as const).map((name) => <td class="n mono">{one.digits[name]}</td>)}
                <td class="muted">{one.closed ? (one.revision > 0 ? `revision ${one.revision}` : "") : at === 0 ? "forming" : "unfinished"}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <button class="quiet close" onClick={close}>Close the table</button>
    </div>
  );
}
