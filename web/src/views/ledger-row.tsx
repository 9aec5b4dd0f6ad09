// A row of the map: the ledger of one series as it is drawn, its state in a word, and the button that repairs it.

import type { SeriesRow } from "marketd-client";
import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { count } from "../format";
import { Badge } from "../parts/pieces";
import { usePace, usePolled } from "../polling";
import { linkTo } from "../router";
import { act, client, wordsOf } from "../server";
import { colour, useTheme } from "../theme";
import { inTurn } from "../turns";
import { isWaiting, NOT_KEPT, STATES, WORST, type Stretch } from "./ledger-states";

const ROW_PX = 22;

/** Where the pointer is, and what is there. */
export interface Pointed {
  x: number;
  y: number;
  row: SeriesRow;
  part: Stretch | null;
  at: number;
}

interface RowProps {
  row: SeriesRow;
  start: number;
  end: number;
  point: (pointed: Pointed | null) => void;
  /** A repair was asked for. */
  onRepair: () => void;
}

export function LedgerRow({ row, start, end, point, onRepair }: RowProps) {
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
