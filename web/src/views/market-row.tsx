// One symbol of one venue: what it costs now, how it got there and how fresh that is.

import type { Quote, StreamEvent, Trade } from "marketd-client";
import { useEffect, useRef, useState } from "preact/hooks";
import { ms, percent, price } from "../format";
import { useLatest } from "../live";
import { Flash, Spark, tone } from "../parts/pieces";
import { usePolled } from "../polling";
import { linkTo } from "../router";
import { client } from "../server";
import { inTurn } from "../turns";

const HZ = 4;
const DAY_MS = 86_400_000;

export interface Row {
  venue: string;
  symbol: string;
  state: string;
  /** Candles that the last day is read from; null: none are kept. */
  timeframe: string | null;
}

export interface Figures {
  price?: number;
  change?: number;
  spread?: number;
  lag?: number;
}

export function nameOf(row: Row): string {
  return `${row.venue}/${row.symbol}`;
}

export function MarketRow({ row, on, open, lazy, score, figures }: { row: Row; on: boolean; open: (row: Row) => void; lazy: boolean; score: number | null | undefined; figures: Map<string, Figures> }) {
  const names = { provider: row.venue, symbol: row.symbol };
  // Before the first live one, what is stored: a venue may be quiet.
  const element = useRef<HTMLTableRowElement>(null);
  const live = useInSight(element, lazy);
  const stored = usePolled(async (signal) => (live ? inTurn(signal, () => client.get("/latest", names, signal)) : null), 60_000, [row.venue, row.symbol, live], ["latest"]);
  const trade = useLatest<Trade & StreamEvent>(live ? { type: "trade", ...names, max_hz: HZ } : null) ?? stored.data?.trade ?? null;
  const quote = useLatest<Quote & StreamEvent>(live ? { type: "quote", ...names, max_hz: HZ } : null) ?? stored.data?.quote ?? null;
  const day = usePolled(async (signal) => (live ? inTurn(signal, () => lastDay(row, signal)) : []), 60_000, [row.venue, row.symbol, row.timeframe, live], ["archive"]);

  const last = trade === null ? null : Number(trade.price);
  const first = day.data?.[0] ?? null;
  const change = last === null || first === null || first === 0 ? null : (100 * (last - first)) / first;
  const spread = quote === null ? null : spreadOf(quote);
  const lag = trade === null || trade.ts_event === null ? null : Number(trade.ts_recv - trade.ts_event) / 1e6;
  const known: Figures = {};
  if (last !== null) known.price = last;
  if (change !== null) known.change = change;
  if (spread !== null) known.spread = spread;
  if (lag !== null) known.lag = lag;
  figures.set(nameOf(row), known);
  const closes = last === null ? (day.data ?? []) : [...(day.data ?? []), last];

  return (
    <tr id={nameOf(row)} ref={element} class={`row ${on ? "on" : ""}`} onClick={() => open(row)}>
      <td class="symbol">
        <a href={linkTo("chart", row.venue, row.symbol)} aria-label={`${row.symbol} at ${row.venue}`} onClick={(event) => event.stopPropagation()}>
          {row.symbol}
        </a>
        <span class="phone-only muted">{row.venue}</span>
      </td>
      <td class="phone-hide">
        <span class={`dot small ${tone(row.state)}`} title={row.state} /> {row.venue}
      </td>
      <td class="n strong">{trade === null ? stored.data === null && stored.error === null ? <span class="skeleton inline" /> : "–" : <Flash value={last}>{price(trade.price)}</Flash>}</td>
      <td class={`n ${change === null ? "muted" : change >= 0 ? "up" : "down"}`}>{percent(change)}</td>
      <td class="n tablet-hide">{spread === null ? "–" : `${spread < 10 ? spread.toFixed(2) : spread.toFixed(1)} bps`}</td>
      <td class={`n tablet-hide ${lag !== null && lag > 1000 ? "warn" : ""}`}>{ms(lag)}</td>
      <td class="n tablet-hide">{score === undefined || score === null ? <span class="muted">–</span> : <Score value={score} />}</td>
      <td class="spark-cell">
        <Spark values={closes} />
      </td>
    </tr>
  );
}

/** Always, or where there are very many, as long as it can be seen. */
function useInSight(element: { current: HTMLElement | null }, lazy: boolean): boolean {
  const [seen, setSeen] = useState(!lazy);
  useEffect(() => {
    if (!lazy || element.current === null) return setSeen(true);
    const observer = new IntersectionObserver(([entry]) => setSeen(entry?.isIntersecting ?? false), { rootMargin: "300px" });
    observer.observe(element.current);
    return () => observer.disconnect();
  }, [lazy]);
  return seen;
}

function Score({ value }: { value: number }) {
  return (
    <span class="score" title={`${value.toFixed(2)} of 100`}>
      <svg viewBox="0 0 40 6" preserveAspectRatio="none" aria-hidden="true">
        <rect class="bar-back" width="40" height="6" rx="3" />
        <rect class="bar-accent" width={Math.max(1, (40 * value) / 100)} height="6" rx="3" />
      </svg>
      {value.toFixed(0)}
    </span>
  );
}

async function lastDay(row: Row, signal: AbortSignal): Promise<number[]> {
  if (row.timeframe === null) return [];
  const start = new Date(Date.now() - DAY_MS);
  const found = await client.getCandles(row.venue, row.symbol, row.timeframe, { start, signal });
  const values = found.map((one) => Number(one.close));
  return found[0] === undefined ? [] : thin([Number(found[0].open), ...values], 60);
}

/** At most about so many, the first and the last kept. */
function thin(values: number[], most: number): number[] {
  const step = Math.ceil(values.length / most);
  return values.filter((_, at) => at % step === 0 || at === values.length - 1);
}

function spreadOf(quote: Quote): number | null {
  const bid = Number(quote.bid);
  const ask = Number(quote.ask);
  return bid > 0 && ask > 0 ? (20_000 * (ask - bid)) / (ask + bid) : null;
}
