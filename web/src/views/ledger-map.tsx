// The map: a row for each series on one axis of time, and why something is as it is where one points.

import type { SeriesRow } from "marketd-client";
import { useState } from "preact/hooks";
import { ago, count, moment, stepMs } from "../format";
import { LedgerRow, type Pointed } from "./ledger-row";
import { STATES, swatchOf } from "./ledger-states";

export function LedgerMap({ series, start, end, onRepair }: { series: SeriesRow[]; start: number; end: number; onRepair: () => void }) {
  const [pointed, setPointed] = useState<Pointed | null>(null);
  return (
    <div class="map" onMouseLeave={() => setPointed(null)}>
      <div class="map-head">
        <span />
        <Axis start={start} end={end} />
        <span />
      </div>
      {series.map((one) => (
        <LedgerRow key={`${one.exchange} ${one.symbol} ${one.timeframe}`} row={one} start={start} end={end} point={setPointed} onRepair={onRepair} />
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
