// The venues: whether each is connected, how late it is, and what it lost.

import { count, ms } from "../format";
import type { Overview } from "../overview";
import { Badge } from "../parts/pieces";
import { client } from "../server";

export function Venues({ venues, offsets }: { venues: Overview["venues"]; offsets: Record<string, number> }) {
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

/** Of the metrics, those that no other path has: clock offsets by venue. */
export async function offsetsOf(signal: AbortSignal): Promise<Record<string, number>> {
  const text = await (await client.http.open("/metrics", { signal })).text();
  const found = text.matchAll(/^marketd_clock_offset_ms\{[^}]*venue="([^"]*)"[^}]*\} (\S+)$/gm);
  return Object.fromEntries([...found].map(([, venue = "", value = ""]) => [venue, Number(value)]));
}
