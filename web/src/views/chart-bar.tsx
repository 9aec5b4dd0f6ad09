// Above the chart: which series and which length of candles, which indicators; and the same by keys.

import type { ITimeScaleApi, Time } from "lightweight-charts";
import { keep } from "../charts/kept";
import type { Study } from "../charts/studies";
import type { Series } from "../charts/told";
import { stepMs } from "../format";
import { useKeys } from "../keys";
import { go } from "../router";
import { STUDIES } from "./chart-pieces";

interface BarProps {
  series: Series;
  all: Series[];
  studies: Study[];
  toggle: (study: Study) => void;
  /** Whether the candles are shown as a table. */
  table: boolean;
  setTable: (shown: boolean) => void;
  /** What is moved and zoomed, once it is drawn. */
  scale: () => ITimeScaleApi<Time> | undefined;
}

export function ChartBar({ series, all, studies, toggle, table, setTable, scale }: BarProps) {
  const { venue, symbol, timeframe } = series;
  const timeframes = all.filter((one) => one.venue === venue && one.symbol === symbol).map((one) => one.timeframe).sort((a, b) => stepMs(a) - stepMs(b));
  const turn = (next: string | undefined): void => {
    if (next === undefined || next === timeframe) return;
    keep({ timeframe: next });
    go("chart", venue, symbol, next);
  };
  const shift = (bars: number): void => {
    const along = scale();
    const range = along?.getVisibleLogicalRange();
    if (along && range) along.setVisibleLogicalRange({ from: range.from + bars, to: range.to + bars });
  };
  const zoom = (by: number): void => {
    const along = scale();
    const range = along?.getVisibleLogicalRange();
    if (along && range) along.setVisibleLogicalRange({ from: range.to - (range.to - range.from) * by, to: range.to });
  };
  useKeys({
    ...Object.fromEntries(STUDIES.map((one) => [one.key, () => toggle(one.study)])),
    "[": () => turn(timeframes[timeframes.indexOf(timeframe) - 1]),
    "]": () => turn(timeframes[timeframes.indexOf(timeframe) + 1]),
    ArrowLeft: () => shift(-10), ArrowRight: () => shift(10), "+": () => zoom(0.8), "-": () => zoom(1.25),
    t: () => setTable(!table),
  });

  return (
    <div class="bar-row chart-bar">
      <label class="picker">
        <span class="sr">Series</span>
        <select value={`${venue}/${symbol}`} onChange={(event) => go("chart", ...event.currentTarget.value.split("/"))}>
          {[...new Set(all.map((one) => `${one.venue}/${one.symbol}`))].sort((a, b) => a.split("/")[1]!.localeCompare(b.split("/")[1]!)).map((one) => (
            <option value={one}>{`${one.split("/")[1]} · ${one.split("/")[0]}`}</option>
          ))}
        </select>
      </label>
      <div class="segments" role="group" aria-label="Timeframe">
        {timeframes.map((one) => (
          <button class={one === timeframe ? "on" : ""} aria-pressed={one === timeframe} onClick={() => turn(one)}>{one}</button>
        ))}
      </div>
      <div class="segments toggles" role="group" aria-label="Indicators">
        {STUDIES.map((one) => (
          <button class={studies.includes(one.study) ? "on" : ""} aria-pressed={studies.includes(one.study)} title={`${one.title} (${one.key})`} onClick={() => toggle(one.study)}>{one.title}</button>
        ))}
      </div>
      <button class={`quiet ${table ? "on" : ""}`} aria-pressed={table} onClick={() => setTable(!table)} title="The candles as a table (t)">Table</button>
    </div>
  );
}
