import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { fetchCandles, MarketDataClient, MarketDataError, nsOfIso, type StatusAnswer, type Trade } from "../src/index.js";
import { eventually, startDaemon, type Daemon } from "./daemon.js";

let daemon: Daemon;
let client: MarketDataClient;

before(async () => {
  daemon = await startDaemon();
  client = new MarketDataClient({ baseUrl: daemon.url });
  const has = (found: StatusAnswer) => found.series.some((one) => one.symbol === "BTCUSDT" && one.timeframe === "1m" && one.count > 1500);
  await eventually(() => client.status(), has);
});

after(() => daemon.stop());

/** The answer's own text: what the client must not change. */
async function text(path: string): Promise<string> {
  return await (await fetch(daemon.url + path)).text();
}

test("fetchCandles answers candles with the venue's digits", async () => {
  const found = await fetchCandles("BTCUSDT", "1m", 50, { baseUrl: daemon.url });
  const raw = await text(`/candles?exchange=${found[0]!.exchange}&symbol=BTCUSDT&timeframe=1m&start=${found[0]!.open_time.slice(0, 19)}&limit=49`);

  assert.equal(found.length, 50);
  for (const one of found.slice(0, 40)) {
    assert.equal(nsOfIso(one.close_time) - nsOfIso(one.open_time), 60_000_000_000n);
    for (const name of ["open", "high", "low", "close", "volume"] as const) {
      assert.ok(raw.includes(`"${name}":${one[name]}`), `${name} ${one[name]}`);
    }
  }
});

test("pages joined are the whole range", async () => {
  const newest = await client.fetchCandles("BTCUSDT", "1m", 1000);
  const { exchange, open_time: start } = newest[0]!;
  const end = newest.at(-1)!.open_time;
  const pages = await client.getCandles(exchange, "BTCUSDT", "1m", { start, end, page: 333 });

  assert.equal(pages.length, 999);
  assert.deepEqual(pages, newest.slice(0, -1));
});

test("times of trades are exact", async () => {
  const { symbol, provider } = await eventually(() => client.latest("BTCUSDT"), (found) => found.trade !== null);
  const first: Trade[] = [];
  for await (const one of client.iterTrades(symbol, { provider: provider!, page: 5 })) {
    first.push(one);
    if (first.length === 12) break;
  }
  const raw = await text(`/trades?symbol=BTCUSDT&provider=${provider}&limit=12&end=2100-01-01&start=1971-01-01`);

  for (const one of first) {
    assert.ok(raw.includes(`"ts_recv":${one.ts_recv}`));
    assert.ok(raw.includes(`"price":"${one.price}"`));
  }
});

test("each part of the daemon answers by its own method", async () => {
  const [health, symbols, gaps, features, ranking] = await Promise.all([
    client.health(),
    client.symbols(),
    client.gaps({ timeframe: "1m" }),
    client.features("BTCUSDT"),
    client.scanner({ limit: 3 }),
  ]);

  assert.equal(health.components.venues?.required, true);
  assert.ok(symbols.binance?.includes("BTCUSDT"));
  assert.ok(gaps.every((one) => nsOfIso(one.gap_end) > nsOfIso(one.gap_start)));
  assert.equal(Object.keys(features.features).length, 11);
  assert.equal(ranking.timeframe, "1h");
});

test("a mistake is said with what is allowed", async () => {
  await assert.rejects(client.fetchCandles("NOPE", "1m"), (error: MarketDataError) => {
    assert.deepEqual([error.kind, error.parameter], ["not-found", "symbol"]);
    assert.ok((error.allowed as string[]).includes("BTCUSDT"));
    return true;
  });
});

test("changing something needs the token", async () => {
  const known = (await client.get("/pairs", {})).pairs;
  const allowed = new MarketDataClient({ baseUrl: daemon.url, token: daemon.token });

  await assert.rejects(client.setSubscriptions(known), (error: MarketDataError) => error.kind === "not-allowed");
  assert.deepEqual((await allowed.setSubscriptions(known)).added, []);
});

test("the message log is read in pages and followed live", async () => {
  const page = await eventually(() => client.messageLog({ limit: 5, type: "cache_write" }), (found) => found.rows.length === 5);
  const older = await client.messageLog({ limit: 5, type: "cache_write", cursor: page.cursor! });
  const stop = new AbortController();
  const followed = [];
  for await (const one of client.followMessageLog({ type: "cache_write", lastId: older.rows[0]!.id, signal: stop.signal })) {
    followed.push(one);
    if (followed.length === 3) stop.abort();
  }

  assert.ok(page.rows.every((one) => one.type === "cache_write"));
  assert.ok(BigInt(older.rows[0]!.id.split("-")[0]!) <= BigInt(page.rows[4]!.id.split("-")[0]!));
  assert.deepEqual(
    followed.map((one) => "entry" in one && one.entry.id),
    page.rows.slice(-3).reverse().map((one) => one.id),
  );
});

test("a consumer with nothing but fetch and the contract works", async () => {
  const answer = await fetch(`${daemon.url}/candles/latest?symbol=BTCUSDT&timeframe=1m&limit=2`);
  const candles = (await answer.json()) as Record<string, unknown>[];

  assert.deepEqual(Object.keys(candles[0]!), [
    "exchange", "symbol", "timeframe", "open_time", "close_time", "open", "high", "low", "close", "volume",
  ]);
  assert.equal(typeof candles[0]!.open, "number");
});
