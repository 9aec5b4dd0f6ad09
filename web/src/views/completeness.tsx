// The ledger as a map: every series over time, what is there, what is not, and why.

import { useMemo, useState } from "preact/hooks";
import { count, stepMs } from "../format";
import { Section, Stat } from "../parts/pieces";
import { Empty, Shown } from "../parts/states";
import { usePace, usePolled } from "../polling";
import { client } from "../server";
import { LedgerMap } from "./ledger-map";
import { isWaiting, NOT_KEPT, STATES } from "./ledger-states";

const HOUR = 3_600_000;
const SPANS: readonly { name: string; ms: number }[] = [
  { name: "6 h", ms: 6 * HOUR },
  { name: "24 h", ms: 24 * HOUR },
  { name: "2 d", ms: 48 * HOUR },
  { name: "7 d", ms: 168 * HOUR },
  { name: "30 d", ms: 720 * HOUR },
  { name: "1 y", ms: 8760 * HOUR },
];

export function Completeness() {
  const [span, setSpan] = useState(2);
  const [words, setWords] = useState("");
  const { paceMs, hurry } = usePace(4000);
  const status = usePolled((signal) => client.get("/status", {}, signal), paceMs, []);
  const series = useMemo(() => {
    const wanted = words.toLowerCase().split(/\s+/).filter((one) => one !== "");
    const found = (status.data?.series ?? []).filter((one) => wanted.every((word) => `${one.symbol} ${one.exchange} ${one.timeframe}`.toLowerCase().includes(word)));
    return found.sort((a, b) => a.exchange.localeCompare(b.exchange) || a.symbol.localeCompare(b.symbol) || stepMs(a.timeframe) - stepMs(b.timeframe));
  }, [status.data, words]);
  const length = SPANS[span]!.ms;
  const end = Math.ceil(Date.now() / 60_000) * 60_000; // moves once a minute
  const missing = series.reduce((sum, one) => sum + one.missing, 0);
  const lost = series.reduce((sum, one) => sum + one.unrecoverable, 0);
  const whole = series.filter((one) => one.missing + one.unrecoverable === 0 && !isWaiting(one) && (one.reason === "" || one.reason === NOT_KEPT)).length;

  return (
    <div class="page">
      <div class="bar-row">
        <h1>Completeness</h1>
        <input type="search" class="filter" placeholder="Filter: btc 1m" aria-label="Filter series" value={words} onInput={(event) => setWords(event.currentTarget.value)} />
        <div class="segments" role="group" aria-label="How far back">
          {SPANS.map((one, at) => (
            <button class={at === span ? "on" : ""} aria-pressed={at === span} onClick={() => setSpan(at)}>
              {one.name}
            </button>
          ))}
        </div>
      </div>
      <Shown polled={status} role="archive" rows={10} empty={(found) => (found.series.length === 0 ? <Empty title="No candles are kept here">The role archive keeps them; give a venue some timeframes.</Empty> : null)}>
        {(found) => (
          <>
            <div class="stats">
              <Stat name="Series complete" value={`${count(whole)} of ${count(series.length)}`} kind={whole === series.length ? "up" : ""} />
              <Stat name="Candles missing" value={count(missing)} kind={missing > 0 ? "down" : ""} note={missing > 0 ? "will be asked for again" : "nothing to ask for"} />
              <Stat name="Unrecoverable" value={count(lost)} kind={lost > 0 ? "warn" : ""} note={lost > 0 ? "beyond the venue's reach" : "nothing was lost"} />
              <Stat name="Candles kept" value={count(series.reduce((sum, one) => sum + one.count, 0))} />
            </div>
            {found.series_error === undefined ? null : <p class="banner bad" role="alert">{found.series_error}</p>}
            <Section title="Ledger" aside={<Legend />}>
              {series.length === 0 ? <Empty title="No series like that" /> : <LedgerMap series={series} start={end - length} end={end} onRepair={hurry} />}
            </Section>
          </>
        )}
      </Shown>
    </div>
  );
}

function Legend() {
  return (
    <ul class="legend">
      {STATES.map((one) => (
        <li>
          <i class={`swatch ${one.swatch ?? one.token}`} /> {one.title}
        </li>
      ))}
      <li>
        <i class="swatch" /> not asked for
      </li>
    </ul>
  );
}
