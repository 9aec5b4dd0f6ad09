// What happened to the venues' lines and who stood in for whom: as it is kept, and as it happens.

import type { Answers, StreamEvent } from "marketd-client";
import { useState } from "preact/hooks";
import { spans, type Said } from "../spans";
import { ago, clock, moment } from "../format";
import { useLive } from "../live";
import { Badge, Section } from "../parts/pieces";
import { Empty, Shown } from "../parts/states";
import { usePolled } from "../polling";
import { client } from "../server";

type Row = Answers["GET /lines"][number];

const LIMIT = 300;
const DAY_MS = 86_400_000;
const KINDS = { switches: "Failover", lines: "Lines", symbols: "Symbols too" } as const;

export function Lines({ venues, started, now }: { venues: readonly string[]; started: number; now: number }) {
  const [kind, setKind] = useState<keyof typeof KINDS>("lines");
  const kept = usePolled((signal) => client.get("/lines", { limit: LIMIT, symbols: kind === "symbols" }, signal), 15_000, [kind === "symbols"], ["latest"]);
  const all = kept.data ?? [];
  const rows = spans(all.map(said), started).filter((one) => kind !== "switches" || one.state === "switched");
  const switches = all.filter((one) => one.state === "switched").length;
  return (
    <Section
      title="Failover and lines"
      aside={
        <div class="segments" role="group" aria-label="What is shown">
          {(Object.keys(KINDS) as (keyof typeof KINDS)[]).map((one) => (
            <button class={kind === one ? "on" : ""} aria-pressed={kind === one} onClick={() => setKind(one)}>
              {KINDS[one]}{one === "switches" && switches > 0 ? ` (${switches})` : ""}
            </button>
          ))}
        </div>
      }
    >
      {venues.map((venue) => <Listening key={venue} venue={venue} heard={kept.reload} />)}
      <Shown
        polled={kept} role="ingest" rows={4}
        empty={() => (rows.length > 0 ? null : kind === "switches" ? <Empty title="No failover">No backup had to stand in, as far back as it is kept.</Empty> : <Empty title="Nothing was said of any line yet">Connections, silence and switches are kept here as they happen.</Empty>)}
      >
        {() => (
          <ul class="lines" tabIndex={0} aria-label="What happened, newest first">
            {rows.map((one) => (
              <li key={one.key}>
                <time title={new Date(one.at).toISOString()}>{now - one.at > DAY_MS ? moment(one.at) : clock(one.at)}</time> <b>{one.venue}</b>{" "}
                {one.symbol === null ? null : <span class="tag">{one.symbol}</span>} <Badge state={one.state}>{one.state === "switched" ? "took over" : one.state}</Badge>{" "}
                <span class="muted nowrap">{one.until === "restart" ? "until the restart" : one.until === null ? `for ${ago(now - one.at)}, still` : `for ${ago(one.until - one.at)}`}</span>
                <span class="part-reason">{one.reason === "" ? "" : ` · ${one.reason}`}</span>
              </li>
            ))}
          </ul>
        )}
      </Shown>
    </Section>
  );
}

function said(row: Row): Said {
  return { at: Number(row.ts / 1_000_000n), venue: row.provider, symbol: row.symbol, state: row.state, reason: row.reason, key: `${row.ts} ${row.provider} ${row.symbol ?? ""} ${row.state}` };
}

/** What a line says now is asked for with all that is kept: one list, in one order. */
function Listening({ venue, heard }: { venue: string; heard: () => void }) {
  useLive({ type: "status", provider: venue }, (event: StreamEvent) => event.type === "status" && event.snapshot !== true && heard());
  return null;
}
