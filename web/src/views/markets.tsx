// Every symbol of every venue with what it costs now, how it got there and how fresh that is.

import type { Quote, StreamEvent, Trade } from "marketd-client";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { count, ms, percent, price } from "../format";
import { useKeys } from "../keys";
import { useLatest } from "../live";
import { Flash, Spark, tone } from "../parts/pieces";
import { Empty, Shown } from "../parts/states";
import { usePolled } from "../polling";
import { go } from "../router";
import { client } from "../server";
import { inTurn } from "../turns";

const HZ = 4;
const ALL_LIVE = 250; // rows; of more, those in sight are live
const DAY_MS = 86_400_000;

interface Row {
  venue: string;
  symbol: string;
  state: string;
  /** Candles that the last day is read from; null: none are kept. */
  timeframe: string | null;
}

type By = "symbol" | "venue" | "price" | "change" | "spread" | "lag" | "score";

interface Figures {
  price?: number;
  change?: number;
  spread?: number;
  lag?: number;
}

const COLUMNS: readonly { by: By; title: string; className: string; about: string }[] = [
  { by: "symbol", title: "Symbol", className: "", about: "as everywhere here" },
  { by: "venue", title: "Venue", className: "phone-hide", about: "where it is traded" },
  { by: "price", title: "Price", className: "n", about: "of the last trade" },
  { by: "change", title: "24 h", className: "n", about: "change against the price a day ago" },
  { by: "spread", title: "Spread", className: "n tablet-hide", about: "ask less bid, in basis points of the middle" },
  { by: "lag", title: "Lag", className: "n tablet-hide", about: "from the venue's time of the last trade to ours" },
  { by: "score", title: "Score", className: "n tablet-hide", about: "of the scanner, 0 to 100: how far it fell against its own prices" },
];

export function Markets() {
  const [words, setWords] = useState("");
  const [sort, setSort] = useState<{ by: By; down: boolean }>({ by: "symbol", down: false });
  const [at, setAt] = useState(-1);
  const figures = useRef(new Map<string, Figures>());
  const [, tick] = useState(0);
  // The names are there at once; how each one does and which candles it has may take the archive a moment.
  const symbols = usePolled(async (signal) => namedOf(await client.get("/symbols", {}, signal)), 10_000, [], ["ingest", "archive"]);
  const known = usePolled(async (signal) => rowsOf(await client.get("/status", {}, signal)), 10_000, []);
  const status = known.data === null && symbols.data !== null ? symbols : known;
  const scanner = usePolled(async (signal) => scoresOf(await client.get("/scanner", {}, signal)), 30_000, [], ["scanner"]);

  useEffect(() => {
    if (sort.by === "symbol" || sort.by === "venue") return;
    const timer = setInterval(() => tick((known) => known + 1), 2000); // the order follows the figures, calmly
    return () => clearInterval(timer);
  }, [sort.by]);

  const rows = useMemo(() => {
    const wanted = words.toLowerCase().split(/\s+/).filter((one) => one !== "");
    return (status.data ?? []).filter((row) => wanted.every((word) => `${row.symbol} ${row.venue}`.toLowerCase().includes(word)));
  }, [status.data, words]);
  const sorted = useSorted(rows, sort, figures.current, scanner.data ?? {});

  const open = (row: Row | undefined): void => {
    if (row !== undefined) go("chart", row.venue, row.symbol);
  };
  const step = (by: number): void => {
    const next = Math.max(0, Math.min(sorted.length - 1, at + by));
    setAt(next);
    document.getElementById(`row-${next}`)?.scrollIntoView({ block: "nearest" });
  };
  useKeys({
    j: () => step(1), ArrowDown: () => step(1), k: () => step(-1), ArrowUp: () => step(-1), Enter: () => open(sorted[at]),
  });

  return (
    <div class="page">
      <div class="bar-row">
        <h1>Markets</h1>
        <input
          type="search" class="filter" placeholder="Filter: btc kraken" aria-label="Filter symbols and venues" value={words}
          onInput={(event) => setWords(event.currentTarget.value)} spellcheck={false}
        />
        <span class="muted grow-right">{status.data === null ? "" : `${count(sorted.length)} of ${count(status.data.length)}`}</span>
      </div>
      <Shown polled={status} role="ingest" rows={10} empty={(found) => (found.length === 0 ? <NoMarkets /> : null)}>
        {() =>
          sorted.length === 0 ? (
            <Empty title="No symbol like that">Nothing that is collected here has “{words}” in its name.</Empty>
          ) : (
            <div class="panel table-panel">
              <table class="grid markets">
                <thead>
                  <tr>
                    {COLUMNS.map((one) => (
                      <th class={one.className} aria-sort={sort.by === one.by ? (sort.down ? "descending" : "ascending") : "none"}>
                        <button class="sort" title={one.about} onClick={() => setSort({ by: one.by, down: sort.by === one.by ? !sort.down : one.className.startsWith("n") })}>
                          {one.title}
                          <i aria-hidden="true">{sort.by === one.by ? (sort.down ? "▾" : "▴") : ""}</i>
                        </button>
                      </th>
                    ))}
                    <th class="spark-cell">Last 24 h</th>
                  </tr>
                </thead>
                <tbody>
                  {sorted.map((row, place) => (
                    <MarketRow key={`${row.venue} ${row.symbol}`} row={row} id={`row-${place}`} on={place === at} open={open} lazy={sorted.length > ALL_LIVE} score={scanner.data?.[row.symbol]} figures={figures.current} />
                  ))}
                </tbody>
              </table>
            </div>
          )
        }
      </Shown>
    </div>
  );
}

function NoMarkets() {
  return (
    <Empty title="Nothing is collected yet">
      Name venues and symbols in the config file, or try <code>marketd demo</code>, which needs neither network nor accounts.
    </Empty>
  );
}

function MarketRow({ row, id, on, open, lazy, score, figures }: { row: Row; id: string; on: boolean; open: (row: Row) => void; lazy: boolean; score: number | null | undefined; figures: Map<string, Figures> }) {
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
  figures.set(`${row.venue} ${row.symbol}`, known);
  const closes = last === null ? (day.data ?? []) : [...(day.data ?? []), last];

  return (
    <tr id={id} ref={element} class={`row ${on ? "on" : ""}`} onClick={() => open(row)}>
      <td class="symbol">
        <a href={`#/chart/${row.venue}/${row.symbol}`} onClick={(event) => event.stopPropagation()}>
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

function useSorted(rows: Row[], sort: { by: By; down: boolean }, figures: Map<string, Figures>, scores: Record<string, number | null>): Row[] {
  const order = (a: Row, b: Row): number => {
    const names = a.symbol.localeCompare(b.symbol) || a.venue.localeCompare(b.venue);
    if (sort.by === "symbol") return sort.down ? -names : names;
    if (sort.by === "venue") return (sort.down ? -1 : 1) * (a.venue.localeCompare(b.venue) || names);
    const by = sort.by;
    const value = (row: Row): number | null =>
      (by === "score" ? scores[row.symbol] : figures.get(`${row.venue} ${row.symbol}`)?.[by]) ?? null;
    const [x, y] = [value(a), value(b)];
    if (x === null || y === null) return x === y ? names : x === null ? 1 : -1; // what is not known comes last either way
    return (sort.down ? y - x : x - y) || names;
  };
  return [...rows].sort(order);
}

function namedOf(symbols: Record<string, string[]>): Row[] {
  return Object.entries(symbols).flatMap(([venue, its]) => its.map((symbol) => ({ venue, symbol, state: "pending", timeframe: null })));
}

function rowsOf(status: Awaited<ReturnType<typeof client.status>>): Row[] {
  const kept = new Map<string, string[]>();
  for (const one of status.series) kept.set(`${one.exchange} ${one.symbol}`, [...(kept.get(`${one.exchange} ${one.symbol}`) ?? []), one.timeframe]);
  const rows = new Map<string, Row>();
  for (const one of status.subscriptions) {
    if (one.symbol === "__system__" || one.state === "unlisted") continue;
    const name = `${one.provider} ${one.symbol}`;
    const its = kept.get(name) ?? [];
    const timeframe = ["1h", "30m", "15m", "5m", "1m"].find((frame) => its.includes(frame)) ?? null;
    const known = rows.get(name);
    if (known === undefined) rows.set(name, { venue: one.provider, symbol: one.symbol, state: one.state, timeframe });
    else if (one.channel === "trade") known.state = one.state;
  }
  return [...rows.values()];
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

function scoresOf(ranking: Awaited<ReturnType<typeof client.scanner>>): Record<string, number | null> {
  return Object.fromEntries(ranking.coins.map((one) => [one.symbol, one.scan.score]));
}

function spreadOf(quote: Quote): number | null {
  const bid = Number(quote.bid);
  const ask = Number(quote.ask);
  return bid > 0 && ask > 0 ? (20_000 * (ask - bid)) / (ask + bid) : null;
}
