// The eleven features of each symbol as they are published, how far they are to be believed, and what was signalled.

import type { Answers, Features as Made } from "marketd-client";
import { useMemo, useState } from "preact/hooks";
import { clock, figure, ms, price, since } from "../format";
import { Badge, Flash, Section, useNow } from "../parts/pieces";
import { Empty, Shown } from "../parts/states";
import { overview } from "../overview";
import { usePolled } from "../polling";
import { linkTo } from "../router";
import { client } from "../server";

type Values = Made["features"];
type Said = Answers["GET /features/signals"][number];

const COLUMNS: readonly { name: keyof Values; title: string; about: string; show: (value: number | null) => string }[] = [
  { name: "mid", title: "Mid", about: "middle of the last quote", show: (value) => figure(value, 8) },
  { name: "spread_abs", title: "Spread", about: "ask less bid", show: (value) => figure(value, 4) },
  { name: "spread_bps", title: "bps", about: "the spread in basis points of the middle", show: (value) => figure(value, 3) },
  { name: "trade_vwap_10s", title: "VWAP 10 s", about: "volume-weighted price of 10 s", show: (value) => figure(value, 8) },
  { name: "trade_vwap_60s", title: "VWAP 60 s", about: "volume-weighted price of 60 s", show: (value) => figure(value, 8) },
  { name: "trade_count_10s", title: "Trades", about: "trades in 10 s", show: (value) => figure(value) },
  { name: "trade_volume_10s", title: "Volume", about: "base units traded in 10 s", show: (value) => figure(value, 4) },
  { name: "return_10s", title: "Return", about: "of 10 s, in basis points", show: (value) => (value === null ? "–" : `${value > 0 ? "+" : ""}${(value * 1e4).toFixed(2)} bp`) },
  { name: "realized_vol_60s", title: "Vol 60 s", about: "deviation of the log returns of 60 s, in basis points", show: (value) => (value === null ? "–" : `${(value * 1e4).toFixed(3)} bp`) },
  { name: "latency_ms_p50", title: "p50", about: "median latency", show: ms },
  { name: "latency_ms_p95", title: "p95", about: "latency, 95th percentile", show: ms },
];

export function Features() {
  const health = usePolled(async (): Promise<string[]> => overview().data?.health.symbols ?? [], 2000, [], ["features"]);
  const said = usePolled((signal) => client.get("/features/signals", { limit: 100 }, signal), 2000, [], ["features"]);
  const advised = usePolled((signal) => client.get("/analysis/signals", { limit: 100 }, signal), 3000, [], ["ta"]);
  return (
    <div class="page">
      <div class="bar-row">
        <h1>Features</h1>
        <span class="muted grow-right">as published, up to ten times a second; shown twice a second</span>
      </div>
      <Shown
        polled={health} role="features" rows={8}
        empty={(symbols) => (symbols.length === 0 ? <Empty title="Nothing came yet">Features appear with the first trades and quotes.</Empty> : null)}
      >
        {(symbols) => (
          <div class="panel table-panel scroll">
            <table class="grid features">
              <thead>
                <tr>
                  <th class="stick">Symbol</th>
                  <th>Quality</th>
                  {COLUMNS.map((one) => <th class="n" title={one.about}>{one.title}</th>)}
                </tr>
              </thead>
              <tbody>{symbols.slice(0, 100).map((one) => <Row key={one} symbol={one} />)}</tbody>
            </table>
          </div>
        )}
      </Shown>
      <div class="columns">
        <Section title="Signals and alerts of the features">
          <Shown polled={said} role="features" rows={3} empty={(rows) => (rows.length === 0 ? <Empty title="Quiet">No rule held and nothing was alarming since the start.</Empty> : null)}>
            {(rows) => <SaidList rows={rows} />}
          </Shown>
        </Section>
        <Section title="Signals of the technical analysis">
          <Shown polled={advised} role="ta" rows={3} empty={(rows) => (rows.length === 0 ? <Empty title="Quiet">A signal is made when a candle closes and a rule holds.</Empty> : null)}>
            {(rows) => (
              <ul class="lines">
                {rows.map((one) => (
                  <li key={`${one.ts} ${one.symbol} ${one.timeframe} ${one.rule}`}>
                    <time>{clock(one.ts)}</time> <a class="strong" href={linkTo("chart", one.provider, one.symbol, one.timeframe)}>{one.symbol}</a> <span class="tag">{one.timeframe}</span>{" "}
                    <span class={`way ${one.direction}`}>{one.direction}</span> {one.rule.replaceAll("_", " ")} <span class="muted">at {price(one.price)}</span>
                    <div class="part-reason small">{one.reasons.join("; ")}</div>
                  </li>
                ))}
              </ul>
            )}
          </Shown>
        </Section>
      </div>
    </div>
  );
}

function Row({ symbol }: { symbol: string }) {
  const made = usePolled((signal) => client.get("/features/latest", { symbol }, signal), 500, [symbol], ["features"]);
  const data = made.data;
  return (
    <tr>
      <td class="stick">
        <a class="strong" href={data?.provider ? linkTo("chart", data.provider, symbol) : "#/features"}>{symbol}</a> <span class="muted">{data?.provider ?? ""}</span>
      </td>
      <td>{data === null ? "" : <Quality made={data} />}</td>
      {COLUMNS.map((one) => {
        const value = data?.features[one.name] ?? null;
        return (
          <td class={`n ${one.name === "return_10s" && value !== null && value !== 0 ? (value > 0 ? "up" : "down") : ""}`}>
            {one.name === "mid" ? <Flash value={value}>{one.show(value)}</Flash> : one.show(value)}
          </td>
        );
      })}
    </tr>
  );
}

function Quality({ made }: { made: Made }) {
  const { quality } = made;
  const word = quality.ok ? "ok" : quality.gap ? "gap" : quality.warming_up ? "warming up" : quality.line;
  const why = [`covers ${quality.covered_s.toFixed(0)} s`, `line ${quality.line}`, ...quality.causes, quality.switched_from === null ? "" : `switched from ${quality.switched_from}`];
  return (
    <span title={why.filter((one) => one !== "").join("\n")}>
      <Badge state={quality.ok ? "ok" : quality.gap ? "missing" : "pending"}>{word}</Badge>
    </span>
  );
}

function SaidList({ rows }: { rows: Said[] }) {
  const now = useNow(5000);
  const groups = useMemo(() => rows, [rows]);
  const [open, setOpen] = useState<number | null>(null);
  return (
    <ul class="lines">
      {groups.map((one, at) => (
        <li key={`${one.ts} ${one.symbol} ${one.kind}`} onClick={() => setOpen(open === at ? null : at)}>
          <time title={`${since(new Date(Number(one.ts / 1_000_000n)).toISOString(), now)} ago`}>{clock(one.ts)}</time> <b>{one.symbol}</b>{" "}
          {one.direction === null ? <Badge state="degraded">{one.kind}</Badge> : <span class={`way ${one.direction}`}>{one.direction}</span>} <span class="part-reason">{one.detail}</span>
        </li>
      ))}
    </ul>
  );
}
