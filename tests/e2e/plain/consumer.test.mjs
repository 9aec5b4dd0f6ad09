// A consumer that knows the contract and nothing else: plain fetch, plain WebSocket, no client of ours.
//
// MARKETD_URL: all roles on simulated venues; MARKETD_TOKEN: its token.
// MARKETD_STORED_URL: only what is stored there, with MARKETD_STORED_TOKEN for everything.

import assert from "node:assert/strict";
import { before, test } from "node:test";

const { MARKETD_URL: URL_, MARKETD_TOKEN: TOKEN, MARKETD_STORED_URL: STORED, MARKETD_STORED_TOKEN: STORED_TOKEN } = process.env;
const DIGITS = /^\d+(\.\d+)?$/;
const NS = /^\d{19}$/;
const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00$/;
const BITFINEX = { exchange: "bitfinex", symbol: "BTCUSD", timeframe: "1m" };
const MINUTE_MS = 60_000;
const TEN = ["exchange", "symbol", "timeframe", "open_time", "close_time", "open", "high", "low", "close", "volume"];
const ELEVEN = [
  "mid", "spread_abs", "spread_bps", "trade_vwap_10s", "trade_vwap_60s", "trade_count_10s", "trade_volume_10s", "return_10s",
  "realized_vol_60s", "latency_ms_p50", "latency_ms_p95",
];
const COMMON = ["type", "provider", "symbol", "ts_event", "ts_recv"];
const OWN = {
  trade: ["price", "size", "side", "trade_id", "repaired"],
  quote: ["bid", "bid_size", "ask", "ask_size"],
  book_l2: ["bids", "asks", "seq"],
  candle: ["timeframe", "open_time", "close_time", "open", "high", "low", "close", "volume", "closed", "revision", "repaired"],
  gap: ["channel", "state", "from_id", "to_id", "from_ts", "to_ts", "cause"],
  status: ["state", "reason"],
};

/** Integers that JavaScript would round come as text. */
function read(text) {
  return JSON.parse(text.replace(/([:[,])(\d{16,})(?=[,\]}])/g, '$1"$2"'));
}

async function get(path, query = {}, options = {}) {
  const answer = await fetch(`${options.base ?? URL_}${path}?${new URLSearchParams(query)}`, options);
  const text = await answer.text();
  const json = answer.headers.get("content-type")?.startsWith("application/json") ? read(text) : undefined;
  return { status: answer.status, headers: answer.headers, text, json };
}

async function fine(path, query) {
  const answer = await get(path, query);
  assert.equal(answer.status, 200, `${path} ${JSON.stringify(query)}: ${answer.text.slice(0, 300)}`);
  return answer;
}

/** Until it holds; what was asked last is in the message. */
async function eventually(ask, holds, withinMs = 120_000) {
  const deadline = Date.now() + withinMs;
  for (;;) {
    const found = await ask();
    if (holds(found)) return found;
    if (Date.now() > deadline) assert.fail(`did not come true in time: ${JSON.stringify(found).slice(0, 600)}`);
    await new Promise((resume) => setTimeout(resume, 200));
  }
}

function has(object, keys, what = "") {
  assert.deepEqual(keys.filter((key) => !(key in object)), [], `${what} ${JSON.stringify(object).slice(0, 400)}`);
}

function isEvent(event, type = event.type) {
  assert.equal(event.type, type);
  has(event, [...COMMON, ...OWN[type]], type);
  assert.match(event.ts_recv, NS);
  if (event.ts_event !== null) assert.match(event.ts_event, NS);
  assert.match(event.symbol, /^([A-Z0-9]+|__system__)$/);
  for (const key of ["price", "size", "bid", "bid_size", "ask", "ask_size", "open", "high", "low", "close", "volume"])
    if (key in event) assert.match(event[key], DIGITS, key);
  for (const [price, size] of [...(event.bids ?? []), ...(event.asks ?? [])]) assert.ok(DIGITS.test(price) && DIGITS.test(size));
}

/** What every bad request gets. */
async function isRefused(path, query, parameter, options = {}, status = 400) {
  const answer = await get(path, query, options);
  assert.equal(answer.status, status, `${path} ${JSON.stringify(query)}: ${answer.text.slice(0, 300)}`);
  has(answer.json, ["error", "parameter", "allowed"], path);
  if (parameter !== undefined) assert.equal(answer.json.parameter, parameter, answer.text);
  return answer.json;
}

before(async () => {
  await eventually(() => get("/candles", BITFINEX), (answer) => answer.status === 200 && answer.json.length > 20);
  await eventually(() => get("/trades", { symbol: "BTCUSDT", limit: 60 }), (answer) => answer.status === 200 && answer.json.length === 60);
  await eventually(() => get("/latest", { symbol: "BTCUSDT" }), (answer) => answer.json?.trade && answer.json?.quote);
});

test("/health and /readyz name every part, /livez answers", async () => {
  for (const path of ["/health", "/readyz"]) {
    const { status, json } = await get(path);
    assert.equal(status, json.status === "unhealthy" ? 503 : 200);
    assert.match(json.status, /^(ok|degraded|unhealthy)$/);
    assert.ok(Object.keys(json.components).length > 0);
    for (const part of Object.values(json.components)) {
      assert.deepEqual(Object.keys(part).sort(), ["reason", "required", "since", "status"]);
      assert.equal(typeof part.required, "boolean");
      assert.match(part.since, ISO);
    }
  }
  await fine("/livez");
});

test("/status has each series and each subscription", async () => {
  const { json } = await fine("/status");
  const of = json.series.find((one) => one.exchange === "bitfinex" && one.symbol === "BTCUSD" && one.timeframe === "1m");
  has(of, ["exchange", "symbol", "timeframe", "first", "last", "count", "gaps", "last_job", "live"], "series");
  assert.ok(Object.keys(of).some((key) => key.startsWith("lag")));
  assert.match(of.first, ISO);
  const live = json.subscriptions.find((one) => one.provider === "binance" && one.symbol === "BTCUSDT" && one.channel === "trade");
  has(live, ["provider", "symbol", "channel", "state", "last_event", "gaps"], "subscription");
  assert.ok(Object.keys(live).some((key) => key.startsWith("lag")));
});

test("/latest is the first venue that has data, or the one that is named", async () => {
  for (const path of ["/latest", "/state/latest"]) {
    const { json } = await fine(path, { symbol: "BTCUSDT" });
    has(json, ["symbol", "provider", "trade", "quote"], path);
    isEvent(json.trade, "trade");
    isEvent(json.quote, "quote");
    assert.deepEqual([json.trade.provider, json.quote.provider], [json.provider, json.provider]);
  }
  const other = await eventually(() => get("/latest", { symbol: "BTCUSDT", provider: "binance_us" }), (answer) => answer.json?.trade);
  assert.deepEqual([other.json.provider, other.json.trade.provider], ["binance_us", "binance_us"]);
});

test("/trades pages through what is stored, each trade once, in order", async () => {
  const query = { symbol: "BTCUSDT", provider: "binance", limit: 20 };
  await eventually(() => get("/trades", { ...query, limit: 100 }), (answer) => answer.json?.length > 60);
  const ids = [];
  for (let cursor, page = 0; page < 3; page++) {
    const { json, headers } = await fine("/trades", cursor === undefined ? query : { ...query, cursor });
    for (const trade of json) isEvent(trade, "trade");
    assert.ok(json.every((trade) => trade.provider === "binance" && trade.symbol === "BTCUSDT"));
    ids.push(...json.map((trade) => trade.trade_id));
    cursor = headers.get("x-next-cursor");
    assert.ok(cursor);
  }
  assert.equal(ids.length, 60);
  assert.equal(new Set(ids).size, 60);
  const { json: some } = await fine("/trades", query);
  const [from, to] = [some[3].ts_event ?? some[3].ts_recv, some[9].ts_event ?? some[9].ts_recv];
  const { json: between } = await fine("/trades", { ...query, start: from, end: to });
  assert.ok(between.length >= 1 && between.length <= 20);
  assert.ok(between.every((one) => BigInt(one.ts_event ?? one.ts_recv) >= BigInt(from) && BigInt(one.ts_event ?? one.ts_recv) < BigInt(to)));
});

test("/bus-stats has the fullest consumer at the top", async () => {
  const { json } = await fine("/bus-stats");
  const keys = ["queue_size", "queue_max", "fill_percent", "backpressure", "dropped"];
  has(json, [...keys, "consumers"]);
  for (const one of json.consumers) has(one, keys, one.name);
  assert.equal(json.fill_percent, Math.max(...json.consumers.map((one) => one.fill_percent)));
});

test("/stats and /pairs count", async () => {
  const { json } = await fine("/stats");
  has(json, ["publisher", "ingest", "pairs_count", "pairs_sample", "queue_size", "queue_fill_ratio", "drops", "events_per_second"]);
  has(json.publisher, ["publish_count", "error_count", "error_rate"]);
  has(json.ingest, ["active_connections", "total_messages", "error_messages", "connection_errors"]);
  const { json: pairs } = await fine("/pairs");
  assert.deepEqual(Object.keys(pairs).sort(), ["count", "pairs"]);
  assert.equal(pairs.count, pairs.pairs.length);
  assert.equal(pairs.count, json.pairs_count);
});

test("/candles is a bare array of ten keys with the venue's digits as number literals", async () => {
  const { json, text, headers } = await fine("/candles", { ...BITFINEX, limit: 5 });
  assert.ok(Array.isArray(json) && json.length === 5);
  for (const candle of json) {
    assert.deepEqual(Object.keys(candle), TEN);
    assert.match(candle.open_time, ISO);
    assert.equal(Date.parse(candle.close_time) - Date.parse(candle.open_time), MINUTE_MS);
    for (const key of TEN.slice(5)) assert.equal(typeof candle[key], "number");
  }
  const literals = [...text.matchAll(/"(?:open|high|low|close|volume)":([^,}]+)/g)].map((found) => found[1]);
  const { json: texts } = await fine("/candles", { ...BITFINEX, limit: 5, numbers: "string" });
  assert.deepEqual(literals, texts.flatMap((candle) => TEN.slice(5).map((key) => candle[key])));
  assert.ok(literals.every((one) => DIGITS.test(one)));
  assert.deepEqual(json.map((one) => one.open_time), json.map((one) => one.open_time).sort());
  const next = await fine("/candles", { ...BITFINEX, limit: 5, cursor: headers.get("x-next-cursor") });
  assert.ok(next.json[0].open_time > json[4].open_time);
});

test("/candles keeps start <= open_time < end, in every form of a time", async () => {
  const { json: all } = await fine("/candles", { ...BITFINEX, limit: 20 });
  const [from, to] = [Date.parse(all[2].open_time), Date.parse(all[9].open_time)];
  const iso = (ms) => new Date(ms).toISOString().slice(0, 19);
  const forms = [(ms) => `${iso(ms)}+00:00`, iso, (ms) => `${iso(ms)}Z`, (ms) => `${iso(ms)} 00:00`, (ms) => ms / 1000, (ms) => ms];
  for (const form of forms) {
    const { json } = await fine("/candles", { ...BITFINEX, start: form(from), end: form(to) });
    assert.deepEqual(json, all.slice(2, 9), String(form(from)));
  }
  const { timeframe, ...rest } = BITFINEX;
  const { json: alias } = await fine("/candles", { ...rest, tf: timeframe, start: from, end: to });
  assert.deepEqual(alias, all.slice(2, 9));
});

test("/candles without a limit is the whole range; more keys and other formats are there", async () => {
  const end = new Date(Math.floor(Date.now() / MINUTE_MS - 30) * MINUTE_MS).toISOString();
  const whole = await fine("/candles", { ...BITFINEX, end });
  const count = [];
  for (let cursor; ; ) {
    const page = await fine("/candles", { ...BITFINEX, end, limit: 700, ...(cursor ? { cursor } : {}) });
    count.push(...page.json.map((one) => one.open_time));
    cursor = page.headers.get("x-next-cursor");
    if (!cursor) break;
  }
  assert.ok(count.length > 0);
  assert.deepEqual(new Set(count).size, count.length);
  assert.ok(whole.json.length <= count.length, "nothing goes between two questions");
  const { json: more } = await fine("/candles", { ...BITFINEX, limit: 1, include: "closed,revision,source" });
  assert.deepEqual(Object.keys(more[0]), [...TEN, "closed", "revision", "source"]);
  const csv = await fine("/candles", { ...BITFINEX, limit: 2, format: "csv" });
  assert.equal(csv.text.split(/\r?\n/)[0], TEN.join(","));
  assert.equal(csv.text.trim().split(/\r?\n/).length, 3);
  await fine("/candles", { ...BITFINEX, limit: 2, format: "arrow" });
});

test("/candles/latest are the newest, oldest first, with or without a venue", async () => {
  const { exchange, ...rest } = BITFINEX;
  const { json } = await fine("/candles/latest", { ...BITFINEX, limit: 3 });
  assert.equal(json.length, 3);
  assert.deepEqual(json.map((one) => one.open_time), json.map((one) => one.open_time).sort());
  assert.ok(Date.now() - Date.parse(json[2].open_time) < 30 * MINUTE_MS);
  const { json: any } = await fine("/candles/latest", { ...rest, limit: 1 });
  assert.deepEqual(Object.keys(any[0]), TEN);
  assert.equal(exchange, "bitfinex");
});

test("/gaps and /symbols have the promised keys", async () => {
  const { json: gaps } = await fine("/gaps", {});
  const keys = ["exchange", "symbol", "timeframe", "gap_start", "gap_end", "detected_at", "repaired_at", "state", "cause"];
  for (const gap of gaps) assert.deepEqual(Object.keys(gap), keys);
  const { json: filtered } = await fine("/gaps", { exchange: "alpaca", symbol: "AAPL" });
  assert.ok(filtered.every((gap) => gap.exchange === "alpaca" && gap.symbol === "AAPL"));
  const { json: configured } = await fine("/symbols");
  assert.ok(configured.bitfinex.includes("BTCUSD"));
  const { json: listed } = await fine("/symbols", { exchange: "bitfinex" });
  assert.deepEqual(Object.keys(listed), ["bitfinex"]);
  assert.ok(listed.bitfinex.length >= configured.bitfinex.length);
});

test("the message log is newest first and filtered by type, source, channel and time", async () => {
  const { json } = await eventually(() => get("/api/redis/log", { limit: 50 }), (answer) => answer.json.length === 50);
  const stamps = json.map((one) => Date.parse(one.timestamp));
  assert.deepEqual(stamps, [...stamps].sort((a, b) => b - a));
  for (const entry of json) {
    assert.deepEqual(Object.keys(entry).sort(), ["channel", "id", "payload_size", "source", "summary", "timestamp", "type"]);
    assert.match(entry.type, /^(publish|cache_write|cache_read|signal|trade|error)$/);
    assert.match(entry.source, /^(market-data|ta-service|dashboard|trader-bot)$/);
  }
  const { json: writes } = await fine("/api/redis/log", { type: "cache_write", source: "market-data", limit: 20 });
  assert.ok(writes.length > 0 && writes.every((one) => one.type === "cache_write" && one.source === "market-data"));
  assert.ok(writes.every((one) => one.summary.includes(one.channel) && one.summary.includes("ttl=")), writes[0].summary);
  const { json: channel } = await fine("/api/redis/log", { channel: writes[0].channel, limit: 5 });
  assert.ok(channel.length > 0 && channel.every((one) => one.channel === writes[0].channel));
  const { json: since } = await fine("/api/redis/log", { since: json[10].timestamp, limit: 1000 });
  assert.ok(since.every((one) => Date.parse(one.timestamp) >= Date.parse(json[10].timestamp)));
  const first = await fine("/api/redis/log", { limit: 5 });
  const second = await fine("/api/redis/log", { limit: 5, cursor: first.headers.get("x-next-cursor") });
  assert.equal(new Set([...first.json, ...second.json].map((one) => one.id)).size, 10);
});

test("features are eleven, all null before data", async () => {
  const { json } = await eventually(() => get("/features/latest", { symbol: "BTCUSDT" }), (answer) => answer.json.features.mid !== null);
  has(json, ["symbol", "provider", "ts", "features", "quality"]);
  assert.deepEqual(Object.keys(json.features), ELEVEN);
  const { json: none } = await fine("/features/latest", { symbol: "NEVERUSDT" });
  assert.deepEqual(none.features, Object.fromEntries(ELEVEN.map((name) => [name, null])));
});

test("/metrics, /docs and /openapi.json are there; the metrics have their old names and labels", async () => {
  const { text } = await fine("/metrics");
  for (const line of [
    /^market_events_total\{provider="[a-z_]+",symbol="[A-Z_]+",type="[a-z_0-9]+"\}/m, /^market_exchange_latency_ms_bucket\{le="[^"]+",provider="[a-z_]+"\}/m,
    /^market_events_per_second\{provider="[a-z_]+"\}/m, /^# TYPE market_gaps_total counter/m, /^senpai_events_in_total\{provider="\w+",type="\w+"\}/m,
    /^# TYPE senpai_events_dropped_total counter/m, /^senpai_queue_fill_ratio /m, /^senpai_processing_latency_ms_bucket\{/m,
    /^# TYPE senpai_feature_publish_total counter/m, /^# TYPE senpai_signals_emitted_total counter/m, /^senpai_nats_connected /m,
    /^# TYPE senpai_alerts_total counter/m, /^# TYPE senpai_publish_errors_total counter/m, /^senpai_tracked_symbols /m,
  ]) assert.match(text, line);
  await fine("/docs");
  const { json } = await fine("/openapi.json");
  for (const path of ["/health", "/readyz", "/livez", "/status", "/latest", "/trades", "/bus-stats", "/stats", "/pairs", "/subscriptions",
    "/metrics", "/candles", "/candles/latest", "/gaps", "/symbols", "/api/redis/log", "/state/latest", "/features/latest"])
    assert.ok(path in json.paths, path);
});

test("a bad request is answered with error, parameter and what is allowed", async () => {
  await isRefused("/latest", {}, "symbol");
  await isRefused("/candles", { exchange: "bitfinex", symbol: "BTCUSD" }, "timeframe");
  await isRefused("/candles", { ...BITFINEX, start: "garbage" }, "start");
  await isRefused("/candles", { ...BITFINEX, limit: "0" }, "limit");
  await isRefused("/candles", { ...BITFINEX, limit: "many" }, "limit");
  await isRefused("/candles", { ...BITFINEX, format: "xml" }, "format");
  await isRefused("/candles", { ...BITFINEX, numbers: "float" }, "numbers");
  await isRefused("/candles", { ...BITFINEX, include: "everything" }, "include");
  await isRefused("/candles", { ...BITFINEX, limit: 5, cursor: "none of ours" }, "cursor");
  await isRefused("/candles", { ...BITFINEX, unknown: "1" }, "unknown");
  await isRefused("/trades", { symbol: "BTCUSDT", limit: "-1" }, "limit");
  await isRefused("/trades", { symbol: "BTCUSDT", end: "2024-13-45" }, "end");
  await isRefused("/symbols", { exchange: "nowhere" }, "exchange", {}, 404);
  await isRefused("/api/redis/log", { type: "rumour" }, "type");
  await isRefused("/api/redis/log", { source: "nobody" }, "source");
  await isRefused("/features/latest", {}, "symbol");
  await isRefused("/state/latest", {}, "symbol");
});

test("what changes state needs the token, and says what it wants", async () => {
  const change = (body, headers = {}) => ({ method: "PUT", headers: { "content-type": "application/json", ...headers }, body });
  const known = { authorization: `Bearer ${TOKEN}` };
  const body = JSON.stringify({ symbols: ["BTCUSDT"], provider: "binance" });
  assert.equal((await get("/subscriptions", {}, change(body))).status, 401);
  assert.equal((await get("/subscriptions", {}, change(body, { authorization: "Bearer wrong" }))).status, 401);
  for (const wrong of ["", "{", "[]", '{"symbols": 7}', '{"symbols": ["BTCUSDT"], "provider": "nowhere"}']) {
    const answer = await get("/subscriptions", {}, change(wrong, known));
    assert.ok(answer.status >= 400 && answer.status < 500, `${wrong}: ${answer.status}`);
    has(answer.json, ["error", "parameter", "allowed"], wrong);
  }
  assert.equal((await get("/subscriptions", {}, change(JSON.stringify({ symbols: ["BTCUSDT", "ETHUSDT"], provider: "binance" }), known))).status, 200);
});

test("pages of this machine may read, others may not", async () => {
  for (const origin of ["http://localhost:5173", "http://127.0.0.1:3000"]) {
    const { status, headers } = await get("/livez", {}, { headers: { origin } });
    assert.deepEqual([status, headers.get("access-control-allow-origin")], [200, origin]);
  }
  const { headers } = await get("/livez", {}, { headers: { origin: "http://elsewhere.example" } });
  assert.equal(headers.get("access-control-allow-origin"), null);
});

test("a process without a role says so of its paths", async () => {
  const headers = { authorization: `Bearer ${STORED_TOKEN}` };
  for (const path of ["/features/latest?symbol=BTCUSDT", "/state/latest?symbol=BTCUSDT", "/pairs"]) {
    const answer = await fetch(`${STORED}${path}`, { headers });
    const json = await answer.json();
    assert.equal(answer.status, 404, path);
    assert.deepEqual(Object.keys(json), ["error"], path);
    assert.match(json.error, /^role .* does not run here$/);
  }
});

test("with a token set every path needs it but /health and /metrics; what is stored is served without a collector", async () => {
  const headers = { authorization: `Bearer ${STORED_TOKEN}` };
  for (const path of ["/health", "/metrics"]) assert.notEqual((await get(path, {}, { base: STORED })).status, 401, path);
  for (const path of ["/candles", "/status", "/gaps", "/latest", "/trades", "/openapi.json"])
    assert.equal((await get(path, {}, { base: STORED })).status, 401, path);
  const { json: here } = await fine("/candles", { ...BITFINEX, limit: 3 });
  const { status, json: there } = await get("/candles", { ...BITFINEX, limit: 3 }, { base: STORED, headers });
  assert.deepEqual([status, there], [200, here]);
  const latest = await get("/latest", { symbol: "BTCUSDT" }, { base: STORED, headers });
  assert.equal(latest.status, 200);
  isEvent(latest.json.trade, "trade");
});

/** A socket, what it heard, and a wait for the first message that holds. */
async function connected() {
  const socket = new WebSocket(`${URL_.replace("http", "ws")}/ws`);
  const heard = [];
  socket.onmessage = ({ data }) => heard.push(read(data));
  await new Promise((opened, failed) => ((socket.onopen = opened), (socket.onerror = failed)));
  const first = (holds) => eventually(async () => heard.find(holds), (found) => found !== undefined);
  return { socket, heard, first, say: (message) => socket.send(JSON.stringify(message)) };
}

test("/ws: a subscription is acknowledged, begins with the newest, and goes on with the events of the contract", async () => {
  const { socket, heard, first, say } = await connected();
  const of = { provider: "binance", symbol: "BTCUSDT" };
  const types = { trade: "trade", quote: "quote", book: "book_l2", candle: "candle" };
  const channels = Object.keys(types).map((type) => ({ type, ...of, ...(type === "candle" ? { timeframe: "1m" } : {}) }));
  say({ op: "subscribe", id: 1, channels });
  await first((one) => one.op === "subscribed" && one.id === 1);
  for (const type of Object.values(types)) {
    const event = await first((one) => one.type === type);
    isEvent(event, type);
    assert.deepEqual([event.provider, event.symbol], ["binance", "BTCUSDT"]);
  }
  const candle = heard.find((one) => one.type === "candle");
  assert.equal(BigInt(candle.close_time) - BigInt(candle.open_time), 60_000_000_000n);
  assert.ok(heard.findIndex((one) => one.op === "subscribed") < heard.findIndex((one) => "type" in one));
  say({ op: "unsubscribe", id: 2, channels });
  await first((one) => one.op === "unsubscribed" && one.id === 2);
  const count = heard.length;
  say({ op: "ping", id: 3 });
  await first((one) => one.op === "pong" && one.id === 3);
  assert.deepEqual(heard.slice(count).filter((one) => "type" in one), []);
  socket.close();
});

test("/ws: a mistake names its field, and the connection goes on", async () => {
  const { socket, first, say } = await connected();
  say({ op: "subscribe", id: 7, channels: [{ type: "rumour", symbol: "BTCUSDT" }] });
  const error = await first((one) => one.op === "error");
  assert.match(error.field, /^channels\[0\]\.type/);
  assert.ok(error.error.length > 0);
  say({ op: "ping", id: 8 });
  await first((one) => one.op === "pong" && one.id === 8);
  socket.close();
});
