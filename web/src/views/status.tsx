// How the daemon is: every part, venue, queue, job and subscription, and what goes through the shared cache.

import type { Consumer, HealthAnswer, StatusAnswer } from "marketd-client";
import { useState } from "preact/hooks";
import { ago, count, ms, since } from "../format";
import { Badge, Bar, Section, Stat, useNow } from "../parts/pieces";
import { lookAgain, useOverview, type Overview } from "../overview";
import { Empty, Failed, Loading, Shown } from "../parts/states";
import { usePolled } from "../polling";
import { client } from "../server";
import { Activity } from "./activity";
import { Lines } from "./lines";

export function Status() {
  const now = useNow();
  const known = useOverview();
  const health = known.data?.health ?? null;
  const venues = known.data?.venues ?? [];
  const started = known.data === null ? 0 : Date.parse(known.data.started);
  const status = usePolled((signal) => client.get("/status", {}, signal), 2500, []);
  const queues = usePolled((signal) => client.get("/bus-stats", {}, signal), 2000, [], ["bus"]);
  const offsets = usePolled(offsetsOf, 5000, [], ["ingest"]);
  return (
    <div class="page">
      <div class="bar-row">
        <h1>Status</h1>
        {health === null ? null : <Badge state={health.status} />}
        <span class="muted grow-right">{known.data === null ? "" : `${[`profile ${known.data.profile}`, ...known.data.roles].join(" · ")}`}</span>
      </div>
      {known.data === null ? (known.error === null ? <Loading rows={3} /> : null) : <Totals overview={known.data} status={status.data} queues={queues.data?.consumers ?? []} />}
      <div class="columns">
        <Section title="Parts">
          {health !== null ? <Parts health={health} now={now} /> : known.error === null ? <Loading /> : <Failed error={known.error} retry={lookAgain} />}
        </Section>
        <div class="stack">
          <Section title="Queues">
            <Shown polled={queues} role="ingest" rows={4} empty={(found) => (found.consumers.length === 0 ? <Empty title="Nobody listens to the bus" /> : null)}>
              {(found) => <Queues consumers={found.consumers} />}
            </Shown>
          </Section>
          <Lines venues={venues.map((one) => one.name)} started={started} now={now} />
        </div>
      </div>
      <Section title="Venues">
        {venues.length > 0 ? <Venues venues={venues} offsets={offsets.data ?? {}} /> : known.data === null ? known.error === null ? <Loading rows={4} /> : <Failed error={known.error} retry={lookAgain} /> : <Empty title="No venue is asked here">The role ingest, which listens to venues, does not run in this process.</Empty>}
      </Section>
      <Activity />
      <Section title="Jobs" aside={<span class="muted">the last one of each series</span>}>
        <Shown polled={status} role="archive" rows={4} empty={(found) => (found.series.every((one) => one.last_job === null) ? <Empty title="No job has run yet" /> : null)}>
          {(found) => <Jobs status={found} now={now} />}
        </Shown>
      </Section>
      <Subscriptions polled={status} now={now} />
    </div>
  );
}

function Totals({ overview, status, queues }: { overview: Overview; status: StatusAnswer | null; queues: Consumer[] }) {
  const perSecond = overview.venues.reduce((sum, one) => sum + one.events_per_s, 0);
  const dropped = queues.reduce((sum, one) => sum + one.dropped, 0);
  const live = status?.subscriptions.filter((one) => one.state === "live").length ?? 0;
  const gaps = status?.subscriptions.reduce((sum, one) => sum + one.missing, 0) ?? 0;
  return (
    <div class="stats">
      <Stat name="Up" value={ago(overview.uptime_s * 1000)} />
      <Stat name="Events per second" value={count(perSecond)} />
      <Stat name="Subscriptions live" value={status === null ? "…" : `${count(live)} of ${count(status.subscriptions.length)}`} />
      <Stat name="Dropped" value={count(dropped)} kind={dropped > 0 ? "warn" : ""} note={dropped > 0 ? "by consumers, see queues" : "by nobody"} />
      <Stat name="Live gaps open" value={status === null ? "…" : count(gaps)} kind={gaps > 0 ? "warn" : ""} />
    </div>
  );
}

function Parts({ health, now }: { health: HealthAnswer; now: number }) {
  const order = { unhealthy: 0, degraded: 1, ok: 2 };
  const parts = Object.entries(health.components).sort((a, b) => order[a[1].status] - order[b[1].status]);
  return (
    <ul class="parts">
      {parts.map(([name, one]) => (
        <li key={name}>
          <Badge state={one.status} />
          <span class="part-name">
            {name}
            {one.required ? <span class="tag" title="the whole is unhealthy without it">required</span> : null}
          </span>
          <span class="part-reason">{one.reason}</span>
          <span class="muted n" title={`since ${one.since}`}>{since(one.since, now)}</span>
        </li>
      ))}
    </ul>
  );
}

function Queues({ consumers }: { consumers: Consumer[] }) {
  return (
    <div class="scroll">
      <table class="grid">
        <thead>
          <tr><th>Consumer</th><th>Fill</th><th class="n">Waiting</th><th class="n phone-hide">Taken</th><th class="n">Dropped</th></tr>
        </thead>
        <tbody>
          {[...consumers].sort((a, b) => b.fill_percent - a.fill_percent || a.name.localeCompare(b.name)).map((one) => (
            <tr key={one.name} title={one.drops.map((drop) => `${count(drop.count)} × ${drop.type}: ${drop.reason}`).join("\n")}>
              <td>{one.name} <span class="tag" title="what a full queue does">{one.full}</span></td>
              <td class="fill-cell"><Bar fill={one.fill_percent / 100} title={`${one.fill_percent} % of ${count(one.queue_max)}`} /></td>
              <td class="n">{count(one.queue_size + one.spilled)}</td>
              <td class="n phone-hide">{count(one.taken)}</td>
              <td class={`n ${one.dropped > 0 ? "warn" : "muted"}`}>{count(one.dropped)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Venues({ venues, offsets }: { venues: Overview["venues"]; offsets: Record<string, number> }) {
  return (
    <div class="scroll">
      <table class="grid">
        <thead>
          <tr>
            <th>Venue</th><th>State</th><th class="n">Events/s</th><th class="n">Lag p50</th><th class="n">Lag p99</th>
            <th class="n" title="the venue's clock less ours">Clock</th><th class="n">Connections</th><th class="n">Reconnects</th><th class="n">Gaps</th><th class="n">Dropped</th><th>Reason</th>
          </tr>
        </thead>
        <tbody>
          {venues.map((one) => (
            <tr key={one.name}>
              <td class="strong">{one.name}</td>
              <td><Badge state={one.state} /></td>
              <td class="n">{one.events_per_s.toFixed(1)}</td>
              <td class="n">{ms(one.lag_ms_p50)}</td>
              <td class={`n ${(one.lag_ms_p99 ?? 0) > 1000 ? "warn" : ""}`}>{ms(one.lag_ms_p99)}</td>
              <td class="n">{offsets[one.name] === undefined ? "–" : ms(offsets[one.name])}</td>
              <td class="n">{one.connections}</td>
              <td class="n">{count(one.reconnects ?? 0)}</td>
              <td class={`n ${(one.gaps ?? 0) > 0 ? "warn" : ""}`}>{count(one.gaps ?? 0)}</td>
              <td class={`n ${one.dropped > 0 ? "warn" : ""}`}>{count(one.dropped)}</td>
              <td class="reason">{one.reason}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Jobs({ status, now }: { status: StatusAnswer; now: number }) {
  const rows = status.series.filter((one) => one.last_job !== null);
  rows.sort((a, b) => Number(b.last_job?.status === "running") - Number(a.last_job?.status === "running") || Date.parse(b.last_job?.started_at ?? "") - Date.parse(a.last_job?.started_at ?? ""));
  return (
    <div class="scroll tall">
      <table class="grid">
        <thead>
          <tr><th>Series</th><th>Job</th><th class="n">Candles fetched</th><th class="n">Kept</th><th class="n">Began</th><th class="n">Took</th><th>What it says</th></tr>
        </thead>
        <tbody>
          {rows.map((one) => {
            const job = one.last_job!;
            const took = job.completed_at === null || job.started_at === null ? null : Date.parse(job.completed_at) - Date.parse(job.started_at);
            return (
              <tr key={`${one.exchange} ${one.symbol} ${one.timeframe}`}>
                <td><b>{one.symbol}</b> <span class="muted">{one.exchange}</span> <span class="tag">{one.timeframe}</span></td>
                <td><Badge state={job.status} /></td>
                <td class="n">{count(job.candles_fetched)}</td>
                <td class="n">{count(one.count)}</td>
                <td class="n muted">{since(job.started_at, now)} ago</td>
                <td class="n">{took === null ? "–" : ms(took)}</td>
                <td class="reason">{job.last_error ?? one.reason}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

function Subscriptions({ polled, now }: { polled: ReturnType<typeof usePolled<StatusAnswer>>; now: number }) {
  const [all, setAll] = useState(false);
  const rows = polled.data?.subscriptions ?? [];
  const odd = rows.filter((one) => one.state !== "live" || one.missing > 0);
  const shown = all ? rows : odd;
  return (
    <Section
      title="Subscriptions"
      aside={
        <div class="segments" role="group" aria-label="Which subscriptions">
          <button class={all ? "" : "on"} aria-pressed={!all} onClick={() => setAll(false)}>Not live ({count(odd.length)})</button>
          <button class={all ? "on" : ""} aria-pressed={all} onClick={() => setAll(true)}>All ({count(rows.length)})</button>
        </div>
      }
    >
      <Shown polled={polled} role="ingest" rows={3} empty={() => (shown.length === 0 ? <Empty title={rows.length === 0 ? "Nothing is subscribed here" : "All are live"} /> : null)}>
        {() => (
          <div class="scroll tall">
            <table class="grid">
              <thead>
                <tr><th>Venue</th><th>Symbol</th><th>Channel</th><th>State</th><th class="n">Last event</th><th class="n">Lag</th><th class="n">Gaps</th><th class="n">Missing</th><th>Book</th><th>Reason</th></tr>
              </thead>
              <tbody>
                {shown.slice(0, 500).map((one) => (
                  <tr key={`${one.provider} ${one.symbol} ${one.channel} ${one.timeframe}`}>
                    <td>{one.provider}</td>
                    <td class="strong">{one.symbol}</td>
                    <td>{one.channel} {one.timeframe ?? ""}</td>
                    <td><Badge state={one.state} /></td>
                    <td class="n">{one.last_event === null ? "never" : `${ago(now - Number(one.last_event / 1_000_000n))} ago`}</td>
                    <td class="n">{ms(one.lag_ms)}</td>
                    <td class="n">{count(one.gaps)}</td>
                    <td class={`n ${one.missing > 0 ? "warn" : ""}`}>{count(one.missing)}</td>
                    <td>{one.book_state ?? ""}</td>
                    <td class="reason">{one.reason}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </Shown>
    </Section>
  );
}

/** Of the metrics, those that no other path has: clock offsets by venue. */
async function offsetsOf(signal: AbortSignal): Promise<Record<string, number>> {
  const text = await (await client.http.open("/metrics", { signal })).text();
  const found = text.matchAll(/^marketd_clock_offset_ms\{[^}]*venue="([^"]*)"[^}]*\} (\S+)$/gm);
  return Object.fromEntries([...found].map(([, venue = "", value = ""]) => [venue, Number(value)]));
}
