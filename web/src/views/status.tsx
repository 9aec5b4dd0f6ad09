// How the daemon is: every part, venue, queue, job and subscription, and what goes through the shared cache.

import type { Consumer, HealthAnswer, StatusAnswer } from "marketd-client";
import { ago, count, since } from "../format";
import { Badge, Bar, Section, Stat, useNow } from "../parts/pieces";
import { lookAgain, useOverview, type Overview } from "../overview";
import { Empty, Failed, Loading, Shown } from "../parts/states";
import { usePolled } from "../polling";
import { client } from "../server";
import { Activity } from "./activity";
import { Jobs } from "./jobs";
import { Lines } from "./lines";
import { Subscriptions } from "./subscriptions";
import { offsetsOf, Venues } from "./venues";

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
