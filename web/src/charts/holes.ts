// What the ledger says is not there, from the first candle that is shown.

import { client } from "../server";
import type { Hole } from "./stage";
import type { Series } from "./told";

export async function holesOf(series: Series, first: number | undefined, signal: AbortSignal): Promise<Hole[]> {
  if (first === undefined) return [];
  const query = { exchange: series.venue, symbol: series.symbol, timeframe: series.timeframe, start: new Date(first * 1000).toISOString() };
  const found = await client.get("/ledger", query, signal);
  return found.flatMap((one) => (one.state === "have" ? [] : [{ from: Date.parse(one.start) / 1000, to: Date.parse(one.end) / 1000, state: one.state, cause: one.cause }]));
}
