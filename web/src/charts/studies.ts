// What is computed of the candles, as lines and columns on the chart.

import { HistogramSeries, LineSeries, LineStyle, MismatchDirection, type IChartApi, type ISeriesApi, type UTCTimestamp } from "lightweight-charts";
import { colour } from "../theme";
import type { Held } from "./candles";
import { bollinger, ema, RIBBON, squeeze, stochasticRsi, vwap, type Line } from "./indicators";

export type Study = "ribbon" | "bollinger" | "vwap" | "squeeze" | "stochastic";

export interface Reading {
  study: Study;
  /** Decimals that are shown. */
  digits: number;
  values: { value: number | null; tone: string }[];
}

type Drawn = ISeriesApi<"Line"> | ISeriesApi<"Histogram">;

/** Those that are shown. */
export class Studies {
  private readonly drawn = new Map<Study, Drawn[]>();

  constructor(private readonly chart: IChartApi) {}

  has(study: Study): boolean {
    return this.drawn.has(study);
  }

  /** Drawn anew in the colours as they are now; without figures until `fill`. */
  repaint(): void {
    const on = [...this.drawn.keys()];
    for (const study of on) this.hide(study);
    for (const study of on) this.show(study);
  }

  show(study: Study): void {
    const line = (tone: string, width: 1 | 2 = 1, pane = 0, style = LineStyle.Solid): Drawn =>
      this.chart.addSeries(LineSeries, { color: tone, lineWidth: width, lineStyle: style, priceLineVisible: false, lastValueVisible: false, crosshairMarkerVisible: false }, pane);
    const pane = this.chart.panes().length;
    const made: Drawn[] = [];
    if (study === "ribbon") for (const [at] of RIBBON.entries()) made.push(line(colour(`ribbon-${at + 1}`)));
    if (study === "bollinger") made.push(line(colour("bands")), line(colour("bands"), 1, 0, LineStyle.Dotted), line(colour("bands")));
    if (study === "vwap") made.push(line(colour("vwap"), 2));
    if (study === "squeeze") {
      const scale = { priceLineVisible: false, lastValueVisible: false } as const;
      made.push(this.chart.addSeries(HistogramSeries, scale, pane), this.chart.addSeries(LineSeries, { ...scale, lineVisible: false, pointMarkersVisible: true, pointMarkersRadius: 1.8, crosshairMarkerVisible: false, color: colour("have") }, pane));
    }
    if (study === "stochastic") {
      made.push(line(colour("accent"), 1, pane), line(colour("vwap"), 1, pane));
      for (const one of made) one.applyOptions({ autoscaleInfoProvider: () => ({ priceRange: { minValue: -4, maxValue: 104 } }) });
      for (const level of [20, 80]) made[0]?.createPriceLine({ price: level, color: colour("line"), lineWidth: 1, lineStyle: LineStyle.Dashed, axisLabelVisible: false, title: "" });
    }
    if (study === "squeeze" || study === "stochastic") this.chart.panes()[pane]?.setStretchFactor(0.3);
    this.drawn.set(study, made);
  }

  hide(study: Study): void {
    for (const one of this.drawn.get(study) ?? []) this.chart.removeSeries(one);
    this.drawn.delete(study);
  }

  /** The lines of all; `newest`: only the last point, since the others did not move. */
  fillAll(shown: readonly Held[], newest = false): void {
    for (const study of this.drawn.keys()) this.fill(study, shown, newest);
  }

  fill(study: Study, shown: readonly Held[], newest = false): void {
    const series = this.drawn.get(study) ?? [];
    const bars = newest ? shown.slice(-1500) : shown;
    const closes = bars.map((one) => one.close);
    const draw = (at: number, line: Line, tones?: (index: number) => string): void => {
      const points = line.map((value, index) => {
        const time = bars[index]!.time as UTCTimestamp;
        return value === null ? { time } : { time, value, ...(tones === undefined ? {} : { color: tones(index) }) };
      });
      const last = points.at(-1);
      if (!newest) series[at]?.setData(points);
      else if (last !== undefined) series[at]?.update(last);
    };
    if (study === "ribbon") RIBBON.forEach((n, at) => draw(at, ema(closes, n)));
    if (study === "bollinger") {
      const { upper, middle, lower } = bollinger(closes);
      [upper, middle, lower].forEach((line, at) => draw(at, line));
    }
    if (study === "vwap") draw(0, vwap(bars));
    if (study === "squeeze") {
      const { on, momentum } = squeeze(bars);
      const [up, down] = [colour("rise"), colour("fall")];
      draw(0, momentum, (at) => {
        const rises = (momentum[at] ?? 0) >= (momentum[at - 1] ?? 0);
        return (momentum[at] ?? 0) >= 0 ? (rises ? up : `${up}80`) : rises ? `${down}80` : down;
      });
      draw(1, on.map((one) => (one === null ? null : 0)), (at) => colour(on[at] === true ? "missing" : "have"));
    }
    if (study === "stochastic") {
      const { k, d } = stochasticRsi(closes);
      draw(0, k);
      draw(1, d);
    }
  }

  /** Of each study that is shown: its figures at a place of the time axis, or the newest ones. */
  readings(logical: number | null, precision: number): Reading[] {
    return [...this.drawn].map(([study, series]) => ({
      study,
      digits: study === "stochastic" ? 2 : precision,
      values: series.flatMap((one, at) => {
        if (study === "squeeze" && at === 1) return []; // dots on a line at zero
        const found = one.dataByIndex(logical ?? Number.MAX_SAFE_INTEGER, MismatchDirection.NearestLeft);
        const value = found !== null && "value" in found ? (found.value as number) : null;
        return [{ value, tone: String(one.options().color) }];
      }),
    }));
  }
}
