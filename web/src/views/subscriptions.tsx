// What the venues are subscribed to: how late each is, what it lacks, and why it is not live.

import type { StatusAnswer } from "marketd-client";
import { useState } from "preact/hooks";
import { ago, count, ms } from "../format";
import { Badge, Section } from "../parts/pieces";
import { Empty, Shown } from "../parts/states";
import type { usePolled } from "../polling";

export function Subscriptions({ polled, now }: { polled: ReturnType<typeof usePolled<StatusAnswer>>; now: number }) {
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
