// The ledger as a map: every series over time, what is there, what is not, and why.

import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Answers, SeriesRow } from "marketd-client";
import { ago, count, moment, stepMs } from "../format";
import { Badge, Section, Stat } from "../parts/pieces";
import { Empty, Shown } from "../parts/states";
import { usePace, usePolled } from "../polling";
import { linkTo } from "../router";
import { act, client, wordsOf } from "../server";
import { colour, useTheme } from "../theme";
import { inTurn } from "../turns";

type Stretch = Answers["GET /ledger"][number];
type State = Stretch["state"];

const HOUR = 3_600_000;
const SPANS: readonly { name: string; ms: number }[] = [
  { name: "6 h", ms: 6 * HOUR },
  { name: "24 h", ms: 24 * HOUR },
  { name: "2 d", ms: 48 * HOUR },
  { name: "7 d", ms: 168 * HOUR },
  { name: "30 d", ms: 720 * HOUR },
  { name: "1 y", ms: 8760 * HOUR },
];
/** `token`: of the colour; `swatch`: of its class. */
const STATES: readonly { state: State; title: string; token: string; swatch?: string }[] = [
  { state: "have", title: "have", token: "have" },
  { state: "known_empty", title: "known empty", token: "empty", swatch: "void" },
  { state: "repairing", title: "repairing", token: "repairing" },
  { state: "missing", title: "missing", token: "missing" },
  { state: "unrecoverable", title: "unrecoverable", token: "lost" },
];
const WORST: readonly State[] = ["missing", "repairing", "unrecoverable", "known_empty", "have"];
const ROW_PX = 22;
const NOT_KEPT = "stored, not kept here";

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
              {series.length === 0 ? <Empty title="No series like that" /> : <Map series={series} start={end - length} end={end} onRepair={hurry} />}
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

interface Pointed {
  x: number;
  y: number;
  row: SeriesRow;
  part: Stretch | null;
  at: number;
}

function Map({ series, start, end, onRepair }: { series: SeriesRow[]; start: number; end: number; onRepair: () => void }) {
  const [pointed, setPointed] = useState<Pointed | null>(null);
  return (
    <div class="map" onMouseLeave={() => setPointed(null)}>
      <div class="map-head">
        <span />
        <Axis start={start} end={end} />
        <span />
      </div>
      {series.map((one) => (
        <MapRow key={`${one.exchange} ${one.symbol} ${one.timeframe}`} row={one} start={start} end={end} point={setPointed} onRepair={onRepair} />
      ))}
      {pointed === null ? null : <Tip pointed={pointed} />}
    </div>
  );
}

function Axis({ start, end }: { start: number; end: number }) {
  const marks = [0, 0.25, 0.5, 0.75];
  return (
    <span class="axis" aria-hidden="true">
      {marks.map((one, at) => (
        <span class={at % 2 === 1 ? "phone-hide" : ""}>{moment(start + one * (end - start))}</span>
      ))}
      <span>now</span>
    </span>
  );
}

interface RowProps {
  row: SeriesRow;
  start: number;
  end: number;
  point: (pointed: Pointed | null) => void;
  /** A repair was asked for. */
  onRepair: () => void;
}

function MapRow({ row, start, end, point, onRepair }: RowProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [asked, setAsked] = useState<"" | "asking" | "asked" | string>("");
  const theme = useTheme();
  const [width, setWidth] = useState(0);
  // The ledger is asked for again when something about the series changed, and once a minute.
  const changed = `${row.missing} ${row.unrecoverable} ${row.known_empty} ${row.last_job?.id ?? 0} ${row.last_job?.status ?? ""} ${row.reason}`;
  const query = { exchange: row.exchange, symbol: row.symbol, timeframe: row.timeframe };
  const { paceMs, hurry } = usePace(60_000);
  const ledger = usePolled(
    (signal) => inTurn(signal, () => client.get("/ledger", { ...query, start: new Date(start).toISOString(), end: new Date(end).toISOString() }, signal)),
    paceMs,
    [query, start, end],
    ["archive"],
  );
  const reload = useRef(ledger.reload);
  reload.current = ledger.reload;
  useEffect(() => reload.current(), [changed]);
  const parts = useMemo(
    () => (ledger.data ?? []).map((one) => ({ ...one, from: Date.parse(one.start), to: Date.parse(one.end) })),
    [ledger.data],
  );

  useEffect(() => {
    const element = canvas.current;
    if (element === null) return;
    const observer = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  useEffect(() => {
    const element = canvas.current;
    const pen = element?.getContext("2d");
    if (!element || !pen || width === 0) return;
    const scale = devicePixelRatio || 1;
    element.width = Math.round(width * scale);
    element.height = Math.round(ROW_PX * scale);
    const perPx = element.width / (end - start);
    pen.clearRect(0, 0, element.width, element.height);
    // The worst is drawn last and at least two points wide: a minute that is missing is seen in a year.
    for (const state of [...WORST].reverse()) {
      pen.fillStyle = colour(STATES.find((one) => one.state === state)?.token ?? "have");
      for (const one of parts) {
        if (one.state !== state) continue;
        const x = (one.from - start) * perPx;
        const least = state === "have" || state === "known_empty" ? 0 : 2 * scale;
        pen.fillRect(x, 0, Math.max(least, (one.to - one.from) * perPx), element.height);
      }
    }
  }, [parts, width, theme, start, end]);

  const hover = useCallback(
    (event: MouseEvent) => {
      const box = (event.currentTarget as HTMLCanvasElement).getBoundingClientRect();
      const at = start + ((event.clientX - box.left) / box.width) * (end - start);
      const near = (3 / box.width) * (end - start);
      const touching = parts.filter((one) => one.from <= at + near && one.to > at - near);
      const part = WORST.map((state) => touching.find((one) => one.state === state)).find((one) => one !== undefined) ?? null;
      point({ x: event.clientX, y: box.bottom, row, part, at });
    },
    [parts, start, end, row, point],
  );

  const repair = async (): Promise<void> => {
    try {
      if (await act(`Look again for ${row.symbol} ${row.timeframe} at ${row.exchange}`, async () => (setAsked("asking"), client.repair(row.exchange, row.symbol, row.timeframe)))) {
        setAsked("asked");
        hurry();
        onRepair();
      } else setAsked("");
      setTimeout(() => setAsked(""), 4000);
    } catch (error) {
      setAsked(wordsOf(error));
    }
  };
  const lacks = row.missing + row.unrecoverable;
  return (
    <div class="map-row">
      <a class="map-name" href={linkTo("chart", row.exchange, row.symbol, row.timeframe)}>
        <b>{row.symbol}</b> <span class="muted">{row.exchange}</span> <span class="tag">{row.timeframe}</span>
      </a>
      <canvas ref={canvas} class={ledger.data === null ? "waits" : ""} onMouseMove={hover} onMouseLeave={() => point(null)} role="img" aria-label={`${row.symbol} ${row.exchange} ${row.timeframe}: ${lacks === 0 ? "complete" : `${row.missing} missing, ${row.unrecoverable} unrecoverable`}`} />
      <span class="map-side">
        {row.reason === "fetching history" ? (
          <Badge state="repairing">filling</Badge>
        ) : row.reason !== "" && row.reason !== NOT_KEPT ? (
          <span title={row.reason}>
            <Badge state="missing">{row.missing > 0 ? `${count(row.missing)} missing` : "failing"}</Badge>
          </span>
        ) : isWaiting(row) ? (
          <span title="its history has not been asked for yet">
            <Badge state="none">waits</Badge>
          </span>
        ) : row.missing > 0 ? (
          <Badge state="missing">{`${count(row.missing)} missing`}</Badge>
        ) : row.unrecoverable > 0 ? (
          <span class="badge lost">{`${count(row.unrecoverable)} lost`}</span>
        ) : (
          <Badge state="have">whole</Badge>
        )}
        <button class="quiet tiny" disabled={asked === "asking"} onClick={() => void repair()} title={asked.length > 8 ? asked : "Ask the venue for what is missing now"}>
          {asked === "" ? "Repair" : asked === "asking" ? "…" : asked === "asked" ? "Asked" : "Failed"}
        </button>
      </span>
    </div>
  );
}

/** Its turn has not come: nothing is missing, and nothing is known either. */
function isWaiting(row: SeriesRow): boolean {
  return row.count === 0 || row.last_job?.status === "pending" || (row.last_job === null && row.reason !== NOT_KEPT);
}

function swatchOf(part: Stretch | null): string {
  const found = STATES.find((one) => one.state === part?.state);
  return found?.swatch ?? found?.token ?? "";
}

function Tip({ pointed }: { pointed: Pointed }) {
  const { part, row } = pointed;
  const left = Math.max(8, Math.min(pointed.x + 12, innerWidth - 300));
  const top = Math.min(pointed.y + 6, innerHeight - 150);
  const candles = part === null ? 0 : Math.round((Date.parse(part.end) - Date.parse(part.start)) / stepMs(row.timeframe));
  return (
    <div class="tip" style={{ left: `${left}px`, top: `${top}px` }} role="tooltip">
      <div>
        <i class={`swatch ${swatchOf(part)}`} />{" "}
        <b>{part === null ? "not asked for" : (STATES.find((one) => one.state === part.state)?.title ?? part.state)}</b>
      </div>
      {part === null ? (
        <div class="muted">{moment(pointed.at)}</div>
      ) : (
        <>
          <div>
            {moment(part.start)} – {moment(part.end)} <span class="muted">({count(candles)} candles)</span>
          </div>
          {part.cause === "" ? null : <div>{part.cause}</div>}
          <div class="muted">known for {ago(Date.now() - Date.parse(part.since))}</div>
        </>
      )}
    </div>
  );
}
