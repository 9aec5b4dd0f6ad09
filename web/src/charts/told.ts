// Where the chart's marks come from: the technical analysis, the features, the paper trader; each where its role runs.

import { overview } from "../overview";
import { size } from "../format";
import { client } from "../server";
import type { Mark } from "./marks";

const LIMIT = 500;

export interface Series {
  venue: string;
  symbol: string;
  timeframe: string;
}

/** What was said and done about this symbol of this venue. */
export async function told(series: Series, signal: AbortSignal): Promise<Mark[]> {
  const parts = overview().data?.parts;
  const { symbol, venue } = series;
  const found = await Promise.all([
    parts?.ta.state === "here" ? signals(series, signal) : [],
    parts?.features.state === "here" ? features(symbol, venue, signal) : [],
    parts?.trader.state === "here" ? paper(symbol, venue, signal) : [],
  ]);
  return found.flat();
}

async function signals({ symbol, venue }: Series, signal: AbortSignal): Promise<Mark[]> {
  const rows = await client.get("/analysis/signals", { symbol, limit: LIMIT }, signal);
  return rows
    .filter((one) => one.provider === venue)
    .map((one) => ({ at: seconds(one.ts), kind: "signal", buys: one.direction === "long", text: `${one.direction}: ${words(one.rule)} (${one.timeframe})`, reasons: one.reasons }));
}

async function features(symbol: string, venue: string, signal: AbortSignal): Promise<Mark[]> {
  const rows = await client.get("/features/signals", { symbol, limit: 200 }, signal);
  return rows
    .filter((one) => one.kind === "signal" && one.provider === venue)
    .map((one) => ({ at: seconds(one.ts), kind: "feature", buys: one.direction === "long", text: `${one.direction}: features`, reasons: [one.detail] }));
}

async function paper(symbol: string, venue: string, signal: AbortSignal): Promise<Mark[]> {
  const [fills, orders] = await Promise.all([client.list("/paper/fills", { limit: LIMIT }, signal), client.list("/paper/orders", { limit: LIMIT }, signal)]);
  const mine = <T extends { symbol: string; provider: string }>(rows: T[]): T[] => rows.filter((one) => one.symbol === symbol && one.provider === venue);
  return [
    ...mine(orders.rows)
      .filter((one) => one.refusal !== null)
      .map((one): Mark => ({ at: Date.parse(one.ts) / 1000, kind: "decision", buys: one.side === "buy", text: `paper: no ${one.side}, ${words(one.refusal ?? "")}`, reasons: [one.detail] })),
    ...mine(fills.rows).map((one): Mark => ({ at: filledAt(one.ts), kind: "fill", buys: one.side === "buy", text: `${one.side} ${size(one.size)}`, reasons: [`on paper at ${one.price}, ${words(one.why)}`] })),
  ];
}

/** A fill is at the open of the candle that begins then, unlike a signal, which is at a close. */
function filledAt(ts: string): number {
  return Date.parse(ts) / 1000 + 0.001;
}

function seconds(ns: bigint): number {
  return Number(ns / 1_000_000n) / 1000;
}

function words(name: string): string {
  return name.replaceAll("_", " ");
}
