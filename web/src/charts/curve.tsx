// The equity of the paper account over time, above and below what it began with.

import { BaselineSeries, createChart, LineStyle, type IChartApi, type ISeriesApi, type UTCTimestamp } from "lightweight-charts";
import type { Page } from "marketd-client";
import { useEffect, useRef } from "preact/hooks";
import { client } from "../server";
import { useTheme } from "../theme";
import { chartColours } from "./look";

export interface Point {
  ts: string;
  equity: string;
}

const AT_ONCE = 10_000;
const PAGES_MAX = 20;

/** Oldest first; beyond 200,000, nearly two years of 5 minutes, the newest are left out. */
export async function points(signal: AbortSignal): Promise<Point[]> {
  const found: Point[] = [];
  let start: string | null = null;
  for (let page = 0; page < PAGES_MAX; page++) {
    const { rows, cursor }: Page<Point> = await client.list("/paper/equity", { limit: AT_ONCE, ...(start === null ? {} : { start }) }, signal);
    for (const one of rows) found.push(one);
    if (cursor === null) break;
    start = cursor;
  }
  return found;
}

export function Curve({ points, start }: { points: readonly Point[]; start: number }) {
  const host = useRef<HTMLDivElement>(null);
  const chart = useRef<IChartApi | null>(null);
  const line = useRef<ISeriesApi<"Baseline"> | null>(null);
  const fitted = useRef(0);
  const theme = useTheme();
  useEffect(() => {
    if (host.current === null) return;
    const made = createChart(host.current, { autoSize: true, ...chartColours(), handleScroll: { vertTouchDrag: false } });
    chart.current = made;
    line.current = made.addSeries(BaselineSeries, { lineWidth: 2, priceLineVisible: false, baseValue: { type: "price", price: start } });
    line.current.createPriceLine({ price: start, color: chartColours().accent, lineWidth: 1, lineStyle: LineStyle.Dashed, axisLabelVisible: false, title: "" });
    return () => {
      made.remove();
      chart.current = null;
    };
  }, [start]);
  useEffect(() => {
    const { up, down, ...look } = chartColours();
    chart.current?.applyOptions(look);
    line.current?.applyOptions({ topLineColor: up, topFillColor1: `${up}38`, topFillColor2: `${up}05`, bottomLineColor: down, bottomFillColor1: `${down}05`, bottomFillColor2: `${down}38` });
  }, [theme, start]);
  useEffect(() => {
    const byTime = new Map(points.map((one) => [Math.floor(Date.parse(one.ts) / 1000) as UTCTimestamp, Number(one.equity)]));
    line.current?.setData([...byTime].map(([time, value]) => ({ time, value })));
    if (byTime.size !== fitted.current) chart.current?.timeScale().fitContent(); // who zoomed in keeps what they see until a point is added
    fitted.current = byTime.size;
  }, [points, start]);
  return <div ref={host} class="curve" role="img" aria-label={`Equity over time, now ${points.at(-1)?.equity ?? ""}; began with ${start}`} />;
}
