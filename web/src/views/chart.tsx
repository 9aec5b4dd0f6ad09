// One series that the address names: candles where they are kept, and beside them the book and the tape.

import { readKept } from "../charts/kept";
import type { Series } from "../charts/told";
import { stepMs } from "../format";
import { overview, usePart } from "../overview";
import { Book, Tape } from "../parts/depth";
import { Empty, Shown } from "../parts/states";
import { usePolled } from "../polling";
import type { Route } from "../router";
import { client } from "../server";
import { ChartSeries } from "./chart-series";

export function Chart({ route }: { route: Route }) {
  const status = usePolled((signal) => client.get("/status", {}, signal), 10_000, []);
  const archive = usePart(["archive"]).state;
  const ingest = usePart(["ingest"]).state;
  const all = (status.data?.series ?? []).map((one) => ({ venue: one.exchange, symbol: one.symbol, timeframe: one.timeframe }));
  const [venue, symbol, timeframe] = route.parts;
  // With a whole address the candles need not wait for the list of series.
  const named = venue !== undefined && symbol !== undefined && timeframe !== undefined ? { venue, symbol, timeframe } : null;
  const locked = archive === "gone" && overview().refused;
  const series = archive === "absent" || locked ? null : status.data === null || all.length === 0 ? named : chosen(all, route.parts);
  return (
    <div class="page wide-page">
      {archive === "absent" && ingest === "here" && venue !== undefined && symbol !== undefined ? (
        <Uncharted venue={venue} symbol={symbol} />
      ) : archive === "absent" ? (
        <Empty title="Not in this process">No candles are kept here: the role archive does not run. Another marketd of yours may have it.</Empty>
      ) : series !== null ? (
        <ChartSeries key={`${series.venue} ${series.symbol} ${series.timeframe}`} series={series} all={all.length === 0 ? [series] : all} />
      ) : (
        <Shown polled={status} role="archive" rows={12} empty={(found) => (found.series.length === 0 ? <Empty title="No candles are kept here">The role archive keeps them; give a venue some timeframes.</Empty> : null)}>
          {() => <Empty title="No such series">Nothing is kept of {route.parts.join(" ")}. Find another with the key /.</Empty>}
        </Shown>
      )}
    </div>
  );
}

/** A process that collects and keeps no candles has the book and the trades. */
function Uncharted({ venue, symbol }: { venue: string; symbol: string }) {
  return (
    <>
      <div class="bar-row"><h1>{symbol}</h1><span class="muted">{venue}</span></div>
      <div class="chart-grid">
        <div class="panel chart-panel"><Empty title="No candles are kept here">The role archive keeps them. Book and trades are live.</Empty></div>
        <aside class="side" aria-label="Book and trades">
          <Book venue={venue} symbol={symbol} />
          <Tape venue={venue} symbol={symbol} />
        </aside>
      </div>
    </>
  );
}

/** The series that the address names; what it leaves out is taken from the first one there is. */
function chosen(all: Series[], parts: string[]): Series | null {
  const [venue, symbol, timeframe] = parts;
  const kept = readKept();
  const candidates = all.filter((one) => (venue === undefined || one.venue === venue) && (symbol === undefined || one.symbol === symbol.toUpperCase()));
  const liked = candidates.find((one) => one.timeframe === (timeframe ?? kept.timeframe));
  if (timeframe !== undefined) return liked ?? null;
  const likes = (one: Series): number => Number(one.symbol === "BTCUSDT") + Number(one.symbol.startsWith("BTC"));
  if (venue === undefined) {
    const best = [...candidates].sort((a, b) => likes(b) - likes(a))[0];
    return candidates.find((one) => one.venue === best?.venue && one.symbol === best.symbol && one.timeframe === kept.timeframe) ?? best ?? null;
  }
  return liked ?? [...candidates].sort((a, b) => stepMs(a.timeframe) - stepMs(b.timeframe))[0] ?? null;
}
