// The drawing: candles and volume, what is computed of them, what is missing, and who did what when.

import {
  CandlestickSeries, createChart, createSeriesMarkers, HistogramSeries, LineSeries, LineStyle, MismatchDirection,
  type IChartApi, type ISeriesApi, type ISeriesMarkersPluginApi, type SeriesMarker, type Time, type UTCTimestamp,
} from "lightweight-charts";
import { colour } from "../theme";
import { decimalsOf, type Candles, type Held, type Span } from "./candles";
import { bollinger, ema, RIBBON, squeeze, stochasticRsi, vwap, type Line } from "./indicators";
import { chartColours } from "./look";
import { byCandle, type Mark } from "./marks";

export type Study = "ribbon" | "bollinger" | "vwap" | "squeeze" | "stochastic";

/** A stretch of the ledger that is not there, in s; drawn behind the candles. */
export interface Hole extends Span {
  cause: string;
  state: "missing" | "known_empty" | "repairing" | "unrecoverable";
}

export interface Reading {
  study: Study;
  /** Decimals that are shown. */
  digits: number;
  values: { value: number | null; tone: string }[];
}

type Drawn = ISeriesApi<"Line"> | ISeriesApi<"Histogram">;

const HOLES_MAX = 20_000;

export class Stage {
  readonly chart: IChartApi;
  private readonly candles: ISeriesApi<"Candlestick">;
  private readonly volume: ISeriesApi<"Histogram">;
  private readonly ledger: ISeriesApi<"Histogram">;
  private readonly markers: ISeriesMarkersPluginApi<Time>;
  private readonly drawn = new Map<Study, Drawn[]>();
  private holes: Hole[] = [];
  private marks: readonly Mark[] = [];
  private marked: ReadonlyMap<number, Mark[]> = new Map();
  private stepS = 60;
  private precision = 2;
  private shown: readonly Held[] = [];

  constructor(host: HTMLElement) {
    this.chart = createChart(host, {
      autoSize: true,
      ...chartColours(),
      handleScroll: { vertTouchDrag: false },
      timeScale: { rightOffset: 6, barSpacing: 7, minBarSpacing: 0.5 },
    });
    this.ledger = this.chart.addSeries(HistogramSeries, {
      priceScaleId: "ledger", priceLineVisible: false, lastValueVisible: false, base: 0,
      autoscaleInfoProvider: () => ({ priceRange: { minValue: 0, maxValue: 1 } }),
    });
    this.ledger.priceScale().applyOptions({ scaleMargins: { top: 0, bottom: 0 }, visible: false });
    this.volume = this.chart.addSeries(HistogramSeries, { priceScaleId: "volume", priceFormat: { type: "volume" }, priceLineVisible: false, lastValueVisible: false });
    this.volume.priceScale().applyOptions({ scaleMargins: { top: 0.82, bottom: 0 }, visible: false });
    this.candles = this.chart.addSeries(CandlestickSeries, { borderVisible: false });
    this.candles.priceScale().applyOptions({ scaleMargins: { top: 0.08, bottom: 0.2 } });
    this.markers = createSeriesMarkers(this.candles, []);
    this.paint();
  }

  /** The colours as they are now. */
  paint(): void {
    const look = chartColours();
    this.chart.applyOptions(look);
    this.candles.applyOptions({ upColor: look.up, downColor: look.down, wickUpColor: look.up, wickDownColor: look.down });
    const on = [...this.drawn.keys()];
    for (const study of on) this.hide(study);
    for (const study of on) this.show(study);
    if (this.shown.length > 0) this.redraw();
  }

  study(study: Study, on: boolean): void {
    if (on === this.drawn.has(study)) return;
    if (on) {
      this.show(study);
      this.fill(study);
    } else this.hide(study);
  }

  /** Everything anew: another series, older candles, or a change among older ones. */
  set(candles: Candles, stepS: number): void {
    this.shown = candles.all;
    this.stepS = stepS;
    this.precision = decimalsOf(candles.all);
    this.candles.applyOptions({ priceFormat: { type: "price", precision: this.precision, minMove: 10 ** -this.precision } });
    this.redraw();
  }

  /** The newest candle changed, or a new one began. */
  update(candles: Candles): void {
    this.shown = candles.all;
    const last = candles.all.at(-1);
    if (last === undefined) return;
    this.candles.update(bar(last));
    this.volume.update(this.volumeOf(last));
    for (const study of this.drawn.keys()) this.fill(study, true);
  }

  setHoles(holes: Hole[]): void {
    this.holes = holes;
    if (this.shown.length > 0) this.redraw();
  }

  setMarks(marks: readonly Mark[]): void {
    this.marks = marks;
    this.mark();
  }

  remove(): void {
    this.chart.remove();
  }

  private redraw(): void {
    const gaps = this.gapTimes();
    const known = new Set(this.shown.map((one) => one.time));
    // Whitespace keeps the place of what is missing: a gap has the width of its time.
    const empty = [...gaps.keys()].filter((time) => !known.has(time));
    const places = [...this.shown.map(bar), ...empty.map((time) => ({ time: time as UTCTimestamp }))].sort((a, b) => Number(a.time) - Number(b.time));
    this.candles.setData(places);
    this.volume.setData(this.shown.map((one) => this.volumeOf(one)));
    const tones = { missing: colour("missing"), known_empty: colour("empty"), repairing: colour("repairing"), unrecoverable: colour("lost") };
    this.ledger.setData([...gaps].map(([time, state]) => ({ time: time as UTCTimestamp, value: 1, color: `${tones[state]}38` })));
    for (const study of this.drawn.keys()) this.fill(study);
    this.mark();
  }

  private gapTimes(): Map<number, Hole["state"]> {
    const first = this.shown[0]?.time ?? 0;
    const last = this.shown.at(-1)?.time ?? 0;
    const found: [number, Hole["state"]][] = [];
    for (const hole of this.holes) {
      const from = Math.max(hole.from, first);
      for (let time = from; time < Math.min(hole.to, last) && found.length < HOLES_MAX; time += this.stepS) found.push([time, hole.state]);
    }
    return new Map(found.sort((a, b) => a[0] - b[0]));
  }

  /** Of each study that is shown: its figures at a place of the time axis, or the newest ones. */
  readings(logical: number | null): Reading[] {
    return [...this.drawn].map(([study, series]) => ({
      study,
      digits: study === "stochastic" ? 2 : this.precision,
      values: series.flatMap((one, at) => {
        if (study === "squeeze" && at === 1) return []; // dots on a line at zero
        const found = one.dataByIndex(logical ?? Number.MAX_SAFE_INTEGER, MismatchDirection.NearestLeft);
        const value = found !== null && "value" in found ? (found.value as number) : null;
        return [{ value, tone: String(one.options().color) }];
      }),
    }));
  }

  /** What is missing at this time. */
  holeAt(time: number): Hole | null {
    return this.holes.find((one) => one.from <= time && time < one.to) ?? null;
  }

  /** What happened in the candle that opened at this time. */
  marksAt(time: number): readonly Mark[] {
    return this.marked.get(time) ?? [];
  }

  private mark(): void {
    if (this.shown.length === 0) return;
    const look = chartColours();
    const tones = { signal: colour("signal"), feature: colour("vwap"), decision: colour("muted") };
    this.marked = byCandle(this.marks, this.shown);
    const drawn: SeriesMarker<Time>[] = [];
    for (const [time, marks] of this.marked) {
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
    for (const one of this.shown) {
      if (one.revision > 0) drawn.push({ time: one.time as UTCTimestamp, position: "aboveBar", shape: "square", color: colour("lost"), text: `r${one.revision}`, size: 0.6 });
    }
    this.markers.setMarkers(drawn.sort((a, b) => Number(a.time) - Number(b.time)));
  }

  private volumeOf(one: Held): { time: UTCTimestamp; value: number; color: string } {
    const tone = colour(one.close >= one.open ? "rise" : "fall");
    return { time: one.time as UTCTimestamp, value: one.volume, color: `${tone}55` };
  }

  private show(study: Study): void {
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

  private hide(study: Study): void {
    for (const one of this.drawn.get(study) ?? []) this.chart.removeSeries(one);
    this.drawn.delete(study);
  }

  /** Its lines; `newest`: only the last point, since the others did not move. */
  private fill(study: Study, newest = false): void {
    const series = this.drawn.get(study) ?? [];
    const bars = newest ? this.shown.slice(-1500) : this.shown;
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
}

function bar(one: Held): { time: UTCTimestamp; open: number; high: number; low: number; close: number } {
  return { time: one.time as UTCTimestamp, open: one.open, high: one.high, low: one.low, close: one.close };
}
