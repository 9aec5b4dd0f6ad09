// Candles from history joined to live ones, what is computed of them, and what the ledger says of the rest.

import { MarketDataError, type CandleEvent, type StreamEvent } from "marketd-client";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { Candles, lacking, type Held } from "../charts/candles";
import { holesOf } from "../charts/holes";
import { keep, readKept } from "../charts/kept";
import type { Mark } from "../charts/marks";
import { Stage, type Hole } from "../charts/stage";
import type { Study } from "../charts/studies";
import { told, type Series } from "../charts/told";
import { stepMs } from "../format";
import { listen, useLiveState } from "../live";
import { overview, partState, usePart } from "../overview";
import { Book, Tape } from "../parts/depth";
import { Empty, Failed } from "../parts/states";
import { usePolled } from "../polling";
import { client, wordsOf } from "../server";
import { useTheme } from "../theme";
import { ChartBar } from "./chart-bar";
import { Legend, Rows, Tip } from "./chart-pieces";

const FIRST = 1000; // candles that are loaded at once
const RETRY_MS = 3000;

export function ChartSeries({ series, all }: { series: Series; all: Series[] }) {
  const { venue, symbol, timeframe } = series;
  const stepS = stepMs(timeframe) / 1000;
  const host = useRef<HTMLDivElement>(null);
  const stage = useRef<Stage | null>(null);
  const candles = useRef(new Candles());
  const reached = useRef(false); // the first candle there is
  const loading = useRef(false);
  const [phase, setPhase] = useState<"loading" | "shown" | "empty" | { error: string }>("loading");
  const [studies, setStudies] = useState<Study[]>(() => readKept().studies);
  const [pointed, setPointed] = useState<{ held: Held; logical: number } | null>(null);
  const [tip, setTip] = useState<{ x: number; y: number; marks: readonly Mark[]; hole: Hole | null } | null>(null);
  const [table, setTable] = useState(false);
  const [, setVersion] = useState(0);
  const live = useLiveState();
  const theme = useTheme();

  const kept = usePart(["archive"]);
  const load = useCallback(async (signal?: AbortSignal): Promise<void> => {
    if (partState(overview(), ["archive"]).state !== "here") return;
    try {
      const found = await client.fetchCandles(symbol, timeframe, FIRST, { exchange: venue, include: ["closed", "revision"], ...(signal ? { signal } : {}) });
      candles.current.merge(found);
      stage.current?.set(candles.current, stepS);
      setPhase(candles.current.all.length === 0 ? "empty" : "shown");
    } catch (error) {
      if (signal?.aborted) return;
      const nothing = error instanceof MarketDataError && error.kind === "not-found" && /nothing is stored/.test(error.message);
      setPhase((known) => (known === "shown" ? known : nothing ? "empty" : { error: wordsOf(error) }));
    }
  }, [venue, symbol, timeframe, stepS]);

  useEffect(() => {
    if (host.current === null) return;
    const stop = new AbortController();
    const made = new Stage(host.current);
    stage.current = made;
    for (const study of studies) made.study(study, true);
    // Listened to before history is asked for: what comes in between is in neither otherwise.
    let painting = false;
    const onEvent = (event: StreamEvent): void => {
      if (event.type !== "candle") return;
      const where = candles.current.take(event as CandleEvent);
      if (where === null) return;
      if (where === "within") made.set(candles.current, stepS);
      else made.update(candles.current);
      if (painting) return;
      painting = true;
      requestAnimationFrame(() => ((painting = false), setVersion((known) => known + 1)));
    };
    const leave = listen({ type: "candle", provider: venue, symbol, timeframe, max_hz: 5 }, onEvent, () => void load(stop.signal));
    made.chart.subscribeCrosshairMove((at) => {
      const time = Number(at.time ?? NaN);
      const marks = made.marksAt(time);
      const hole = made.holeAt(time);
      const held = candles.current.all.find((one) => one.time === time);
      setPointed(held === undefined ? null : { held, logical: at.logical ?? 0 });
      setTip(at.point === undefined || (marks.length === 0 && hole === null) ? null : { x: at.point.x, y: at.point.y, marks, hole });
    });
    made.chart.timeScale().subscribeVisibleLogicalRangeChange((range) => {
      if (range !== null && range.from < 60) void older(stop.signal);
    });
    const older = async (signal: AbortSignal): Promise<void> => {
      const first = candles.current.all[0];
      if (first === undefined || loading.current || reached.current) return;
      loading.current = true;
      try {
        const end = new Date(first.time * 1000);
        const start = new Date((first.time - FIRST * stepS) * 1000);
        const found = await client.getCandles(venue, symbol, timeframe, { start, end, include: ["closed", "revision"], signal });
        reached.current = found.length === 0;
        if (found.length > 0) {
          candles.current.merge(found);
          made.set(candles.current, stepS);
        }
      } catch {
        // Scrolling further asks again.
      } finally {
        loading.current = false;
      }
    };
    return () => {
      stop.abort();
      leave();
      made.remove();
      stage.current = null;
    };
  }, [venue, symbol, timeframe]);

  useEffect(() => {
    if (phase === "shown") {
      stage.current?.chart.timeScale().setVisibleLogicalRange(newest(candles.current.all.length, host.current));
      return;
    }
    if (phase === "loading") return;
    const timer = setInterval(() => void load(), RETRY_MS); // a new archive is filled while one looks
    return () => clearInterval(timer);
  }, [phase === "shown" ? 1 : phase === "loading" ? 2 : 3]);
  useEffect(() => stage.current?.paint(), [theme]);
  // Back after a break: whatever came meanwhile is asked for, so that no gap of our own stays.
  const was = useRef(live.mode);
  useEffect(() => {
    if ((live.mode === "live" || live.mode === "asking") && was.current === "lost") void load();
    was.current = live.mode;
  }, [live.mode]);

  useEffect(() => void (kept.state === "here" && load()), [kept.state]);

  const ledger = usePolled((signal) => holesOf(series, candles.current.all[0]?.time, signal), 6000, [phase === "shown", venue, symbol, timeframe], ["archive"]);
  useEffect(() => {
    stage.current?.setHoles(ledger.data ?? []);
    if (ledger.data === null || timeframe.endsWith("M")) return; // a month has no one length
    const span = lacking(candles.current.all, ledger.data, stepS);
    if (span === null) return;
    // Filled behind our back, as after an outage: history that is repaired is stored, not sent.
    const stop = new AbortController();
    const range = { start: new Date(span.from * 1000), end: new Date(span.to * 1000), include: ["closed", "revision"] as const, signal: stop.signal };
    client.getCandles(venue, symbol, timeframe, range).then(
      (found) => {
        if (stop.signal.aborted || found.length === 0) return;
        candles.current.merge(found);
        stage.current?.set(candles.current, stepS);
        setVersion((known) => known + 1);
      },
      () => undefined, // the next look at the ledger asks again
    );
    return () => stop.abort();
  }, [ledger.data]);
  const marks = usePolled((signal) => told(series, signal), 5000, [], ["ta", "features", "trader"]);
  useEffect(() => stage.current?.setMarks(marks.data ?? []), [marks.data, phase]);

  const toggle = (study: Study): void => {
    const next = studies.includes(study) ? studies.filter((one) => one !== study) : [...studies, study];
    stage.current?.study(study, next.includes(study));
    setStudies(next);
    keep({ studies: next });
  };
  const last = candles.current.all.at(-1) ?? null;
  const shown = pointed?.held ?? last;
  const holes = ledger.data ?? [];
  return (
    <>
      <ChartBar series={series} all={all} studies={studies} toggle={toggle} table={table} setTable={setTable} scale={() => stage.current?.chart.timeScale()} />
      <div class="chart-grid">
        <div class="panel chart-panel">
          <Legend held={shown} series={series} before={before(candles.current.all, shown)} holes={holes} readings={stage.current?.readings(pointed?.logical ?? null) ?? []} />
          <div ref={host} class={`chart-host ${phase === "shown" ? "" : "veiled"}`} role="img" aria-label={`Candles of ${symbol} at ${venue}, ${timeframe}; as a table with the key t`} />
          {tip === null ? null : <Tip {...tip} width={host.current?.clientWidth ?? 0} />}
          {phase === "loading" ? <div class="over"><div class="skeleton block" role="status" aria-label="Loading candles" /></div> : null}
          {phase === "empty" ? <div class="over"><Empty title="No candle yet">The first one appears as soon as the venue has it.</Empty></div> : null}
          {typeof phase === "object" ? <div class="over"><Failed error={phase.error} retry={() => (setPhase("loading"), void load())} /></div> : null}
          {table ? <Rows candles={candles.current.all} close={() => setTable(false)} /> : null}
        </div>
        <aside class="side" aria-label="Book and trades">
          <Book venue={venue} symbol={symbol} />
          <Tape venue={venue} symbol={symbol} />
        </aside>
      </div>
    </>
  );
}

function before(all: readonly Held[], held: Held | null): Held | null {
  if (held === null) return null;
  const at = all.findLastIndex((one) => one.time < held.time);
  return all[at] ?? null;
}

/** So many of the newest that they can be told apart. */
function newest(total: number, host: HTMLElement | null): { from: number; to: number } {
  const bars = Math.max(40, Math.floor((host?.clientWidth ?? 800) / 7));
  return { from: Math.max(-2, total - bars), to: total + (total < bars ? 2 : 6) };
}
