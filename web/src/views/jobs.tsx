// The last job of each series: what it fetched, how long it took, and what it says.

import type { StatusAnswer } from "marketd-client";
import { count, ms, since } from "../format";
import { Badge } from "../parts/pieces";

export function Jobs({ status, now }: { status: StatusAnswer; now: number }) {
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
