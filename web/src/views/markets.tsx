// Every symbol of every venue with what it costs now, how it got there and how fresh that is.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { count } from "../format";
import { useKeys } from "../keys";
import { Empty, Shown } from "../parts/states";
import { usePolled } from "../polling";
import { go } from "../router";
import { client } from "../server";
import { MarketRow, nameOf, type Figures, type Row } from "./market-row";

const ALL_LIVE = 250; // rows; of more, those in sight are live

type By = "symbol" | "venue" | "price" | "change" | "spread" | "lag" | "score";

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
  const [chosen, setChosen] = useState(""); // by name: the order may change under it
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
  const at = sorted.findIndex((row) => nameOf(row) === chosen);
  const step = (by: number): void => {
    const next = sorted[Math.max(0, Math.min(sorted.length - 1, at + by))];
    if (next === undefined) return;
    setChosen(nameOf(next));
    const link = document.getElementById(nameOf(next))?.querySelector("a");
    link?.focus({ preventScroll: true }); // so that it is read out, and Enter opens it
    link?.scrollIntoView({ block: "nearest" });
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
                  {sorted.map((row) => (
                    <MarketRow key={nameOf(row)} row={row} on={nameOf(row) === chosen} open={open} lazy={sorted.length > ALL_LIVE} score={scanner.data?.[row.symbol]} figures={figures.current} />
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

function useSorted(rows: Row[], sort: { by: By; down: boolean }, figures: Map<string, Figures>, scores: Record<string, number | null>): Row[] {
  const order = (a: Row, b: Row): number => {
    const names = a.symbol.localeCompare(b.symbol) || a.venue.localeCompare(b.venue);
    if (sort.by === "symbol") return sort.down ? -names : names;
    if (sort.by === "venue") return (sort.down ? -1 : 1) * (a.venue.localeCompare(b.venue) || names);
    const by = sort.by;
    const value = (row: Row): number | null =>
      (by === "score" ? scores[row.symbol] : figures.get(nameOf(row))?.[by]) ?? null;
    const [x, y] = [value(a), value(b)];
    if (x === null || y === null) return x === y ? names : x === null ? 1 : -1; // what is not known comes last either way
    return (sort.down ? y - x : x - y) || names;
  };
  return [...rows].sort(order);
}

function namedOf(symbols: Record<string, string[]>): Row[] {
  return Object.entries(symbols).flatMap(([venue, its]) => its.map((symbol) => ({ venue, symbol, state: "unknown", timeframe: null })));
}

function rowsOf(status: Awaited<ReturnType<typeof client.status>>): Row[] {
  const kept = new Map<string, string[]>();
  for (const one of status.series) kept.set(`${one.exchange} ${one.symbol}`, [...(kept.get(`${one.exchange} ${one.symbol}`) ?? []), one.timeframe]);
  const rows = new Map<string, Row>();
  for (const one of status.subscriptions) {
    if (one.symbol === "__system__" || one.state === "unlisted") continue;
    const name = `${one.provider} ${one.symbol}`;
    const timeframe = coarsest(kept.get(name) ?? []);
    const known = rows.get(name);
    if (known === undefined) rows.set(name, { venue: one.provider, symbol: one.symbol, state: one.state, timeframe });
    else if (one.channel === "trade") known.state = one.state;
  }
  // A process that only serves what is stored has no subscriptions.
  if (rows.size === 0) for (const one of status.series) rows.set(`${one.exchange} ${one.symbol}`, { venue: one.exchange, symbol: one.symbol, state: "off", timeframe: coarsest(kept.get(`${one.exchange} ${one.symbol}`) ?? []) });
  return [...rows.values()];
}

/** Of those of which a day has enough candles for a small curve, the one with the fewest. */
function coarsest(timeframes: readonly string[]): string | null {
  return ["1h", "30m", "15m", "5m", "1m"].find((frame) => timeframes.includes(frame)) ?? null;
}

function scoresOf(ranking: Awaited<ReturnType<typeof client.scanner>>): Record<string, number | null> {
  return Object.fromEntries(ranking.coins.map((one) => [one.symbol, one.scan.score]));
}
