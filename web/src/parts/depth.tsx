// Beside the chart: the book, and the trades as they happen.

import type { BookL2, StreamEvent, Trade } from "marketd-client";
import { useEffect, useRef, useState } from "preact/hooks";
import { clock, price, size } from "../format";
import { listen, useLive, useLiveState } from "../live";
import { usePart } from "../overview";
import { client } from "../server";
import { Empty, Loading } from "./states";

const LEVELS = 10;
const TRADES = 60;
const PAINT_MS = 120;

export function Book({ venue, symbol }: { venue: string; symbol: string }) {
  const [book, setBook] = useState<BookL2 | null>(null);
  const [gone, setGone] = useState(false);
  const live = useLiveState();
  useLive({ type: "book", provider: venue, symbol, max_hz: 5 }, (event) => {
    if (event.type === "book_l2") setBook(event);
  });
  useEffect(() => {
    const timer = setTimeout(() => setGone(true), 6000);
    return () => clearTimeout(timer);
  }, []);
  if (book === null) {
    return (
      <section class="panel book" aria-label="Book">
        <header class="panel-head"><h2>Book</h2></header>
        {live.mode === "asking" ? <Empty title="Only live">The book needs the live connection.</Empty> : gone ? <Empty title="No book">None is collected of {symbol} at {venue}.</Empty> : <Loading rows={8} />}
      </section>
    );
  }
  const asks = book.asks.slice(0, LEVELS);
  const bids = book.bids.slice(0, LEVELS);
  const most = Math.max(...[...asks, ...bids].map((one) => Number(one[1])), Number.MIN_VALUE);
  const [ask, bid] = [Number(asks[0]?.[0] ?? NaN), Number(bids[0]?.[0] ?? NaN)];
  const bps = (20_000 * (ask - bid)) / (ask + bid);
  return (
    <section class="panel book" aria-label="Book">
      <header class="panel-head"><h2>Book</h2><span class="muted">{Number.isFinite(bps) ? `${bps.toFixed(2)} bps` : ""}</span></header>
      <table class="levels asks"><tbody>{[...asks].reverse().map((one) => <Level key={one[0]} level={one} most={most} />)}</tbody></table>
      <div class="between"><b>{Number.isFinite(ask + bid) ? price(((ask + bid) / 2).toFixed(decimals(asks[0]?.[0] ?? ""))) : "–"}</b></div>
      <table class="levels bids"><tbody>{bids.map((one) => <Level key={one[0]} level={one} most={most} />)}</tbody></table>
    </section>
  );
}

function Level({ level, most }: { level: [string, string]; most: number }) {
  return (
    <tr>
      <td class="n lp">{price(level[0])}</td>
      <td class="n ls">
        <i class="depth" style={{ width: `${Math.min(100, (100 * Number(level[1])) / most).toFixed(1)}%` }} />
        <span>{size(level[1])}</span>
      </td>
    </tr>
  );
}

export function Tape({ venue, symbol }: { venue: string; symbol: string }) {
  const [trades, setTrades] = useState<Trade[] | null>(null);
  const waiting = useRef<Trade[]>([]);
  const kept = usePart(["trades"]).state;
  useEffect(() => {
    if (kept === "unknown") return;
    let alive = true;
    let painting: ReturnType<typeof setTimeout> | undefined;
    const seen = new Set<string>();
    const add = (fresh: Trade[]): void => {
      for (const one of fresh) {
        if (seen.has(one.trade_id)) continue;
        seen.add(one.trade_id);
        waiting.current.push(one);
      }
      if (seen.size > 5000) seen.clear();
      painting ??= setTimeout(() => {
        painting = undefined;
        if (!alive) return;
        const batch = waiting.current.reverse();
        waiting.current = [];
        setTrades((known) => [...batch, ...(known ?? [])].sort(newestFirst).slice(0, TRADES));
      }, PAINT_MS);
    };
    const leave = listen({ type: "trade", provider: venue, symbol }, (event: StreamEvent) => event.type === "trade" && add([event]));
    const start = new Date(Date.now() - 60_000).toISOString();
    const stored = kept === "here" ? client.get("/trades", { symbol, provider: venue, start, limit: 1000 }) : Promise.resolve([]);
    stored.then(
      (found) => alive && add(found.slice(-TRADES)),
      () => undefined, // without stored trades the tape begins now
    );
    return () => {
      alive = false;
      clearTimeout(painting);
      leave();
    };
  }, [venue, symbol, kept === "unknown"]);
  return (
    <section class="panel tape" aria-label="Trades">
      <header class="panel-head"><h2>Trades</h2></header>
      {trades === null ? (
        <Loading rows={8} />
      ) : trades.length === 0 ? (
        <Empty title="No trade yet" />
      ) : (
        <div class="scroll tape-rows" tabIndex={0} aria-label="Trades, newest first">
          <table class="levels">
            <tbody>
              {trades.map((one) => (
                <tr key={one.trade_id} data-id={one.trade_id} class={one.side ?? ""}>
                  <td class="n lp">{price(one.price)}</td>
                  <td class="n">{size(one.size)}</td>
                  <td class="n muted mono">{clock(one.ts_event ?? one.ts_recv)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

function newestFirst(a: Trade, b: Trade): number {
  const [x, y] = [a.ts_event ?? a.ts_recv, b.ts_event ?? b.ts_recv];
  return x === y ? 0 : x < y ? 1 : -1;
}

function decimals(text: string): number {
  return (text.split(".")[1] ?? "").replace(/0+$/, "").length + 1;
}
