// The drawing: candles and volume, what is computed of them, what is missing, and who did what when.

import {
  CandlestickSeries, createChart, createSeriesMarkers, HistogramSeries,
  type IChartApi, type ISeriesApi, type ISeriesMarkersPluginApi, type Time, type UTCTimestamp,
} from "lightweight-charts";
import { colour } from "../theme";
import { decimalsOf, type Candles, type Held, type Span } from "./candles";
import { chartColours } from "./look";
import { markersOf } from "./markers";
import { byCandle, type Mark } from "./marks";
import { Studies, type Reading, type Study } from "./studies";

/** A stretch of the ledger that is not there, in s; drawn behind the candles. */
export interface Hole extends Span {
  cause: string;
  state: "missing" | "known_empty" | "repairing" | "unrecoverable";
}

const HOLES_MAX = 20_000;

export class Stage {
  readonly chart: IChartApi;
  private readonly candles: ISeriesApi<"Candlestick">;
  private readonly volume: ISeriesApi<"Histogram">;
  private readonly ledger: ISeriesApi<"Histogram">;
  private readonly markers: ISeriesMarkersPluginApi<Time>;
  private readonly studies: Studies;
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
    this.studies = new Studies(this.chart);
    this.paint();
  }

  /** The colours as they are now. */
  paint(): void {
    const look = chartColours();
    this.chart.applyOptions(look);
    this.candles.applyOptions({ upColor: look.up, downColor: look.down, wickUpColor: look.up, wickDownColor: look.down });
    this.studies.repaint();
    if (this.shown.length > 0) this.redraw();
  }

  study(study: Study, on: boolean): void {
    if (on === this.studies.has(study)) return;
    if (on) {
      this.studies.show(study);
      this.studies.fill(study, this.shown);
    } else this.studies.hide(study);
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
    this.studies.fillAll(this.shown, true);
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
    this.studies.fillAll(this.shown);
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
    return this.studies.readings(logical, this.precision);
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
    this.marked = byCandle(this.marks, this.shown);
    this.markers.setMarkers(markersOf(this.marked, this.shown));
  }

  private volumeOf(one: Held): { time: UTCTimestamp; value: number; color: string } {
    const tone = colour(one.close >= one.open ? "rise" : "fall");
    return { time: one.time as UTCTimestamp, value: one.volume, color: `${tone}55` };
  }
}

function bar(one: Held): { time: UTCTimestamp; open: number; high: number; low: number; close: number } {
  return { time: one.time as UTCTimestamp, open: one.open, high: one.high, low: one.low, close: one.close };
}
