// The same client in a browser: as a page of the daemon's own, and as a page of somebody else's on this machine.

import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { chromium, type Browser, type Page } from "playwright-core";

import { MarketDataClient, type LiveStream, type StatusAnswer } from "../src/index.js";
import { eventually, startDaemon, type Daemon } from "./daemon.js";
import { Line } from "./line.js";

type Library = typeof import("../src/index.js");
declare global {
  var marketd: Library; // in the page
  var heard: { pos: number; snapshot: boolean; exact: boolean }[];
  var missed: number;
  var stream: LiveStream;
}

const BUILT = join(import.meta.dirname, "..", "src");
const PAGE = `<!doctype html><title>client</title><script type="module">
import * as marketd from "/client/index.js"; globalThis.marketd = marketd; document.title = "ready";</script>`;
let daemon: Daemon;
let line: Line;
let elsewhere: Server;
let browser: Browser;

before(async () => {
  daemon = await startDaemon();
  line = new Line();
  line.target = Number(new URL(daemon.url).port);
  elsewhere = createServer((request, response) => {
    if (!request.url?.startsWith("/client/")) return response.writeHead(200, { "content-type": "text/html" }).end(PAGE);
    return void module(request.url).then((text) => response.writeHead(200, { "content-type": "text/javascript" }).end(text));
  }).listen(0, "127.0.0.1");
  await once(elsewhere, "listening");
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
  const has = (found: StatusAnswer) => found.series.some((one) => one.symbol === "BTCUSDT" && one.timeframe === "1m" && one.count > 100);
  await eventually(() => new MarketDataClient({ baseUrl: daemon.url }).status(), has);
});

after(async () => {
  await browser.close();
  elsewhere.close();
  line.close();
  await daemon.stop();
});

function module(path: string): Promise<string> {
  return readFile(join(BUILT, path.replace("/client/", "").replaceAll("..", "")), "utf8");
}

/** A page of the daemon's own origin that holds the client, as a built dashboard would. */
async function ownPage(): Promise<Page> {
  const page = await browser.newPage();
  await page.route(`${daemon.url}/page`, (route) => route.fulfill({ contentType: "text/html", body: PAGE }));
  await page.route(`${daemon.url}/client/*`, async (route) =>
    route.fulfill({ contentType: "text/javascript", body: await module(new URL(route.request().url()).pathname) }),
  );
  await page.goto(`${daemon.url}/page`);
  await page.waitForFunction(() => document.title === "ready");
  return page;
}

async function otherPage(): Promise<Page> {
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}/`);
  await page.waitForFunction(() => document.title === "ready");
  return page;
}

/** What a page gets by the client, as text, since times beyond 2^53 do not travel out of it. */
async function asked(page: Page, baseUrl: string | undefined): Promise<{ candles: string; trades: string; refused: string[] }> {
  return page.evaluate(async (base) => {
    const options = base === undefined ? {} : { baseUrl: base };
    const client = new marketd.MarketDataClient(options);
    const range = { start: new Date(Date.now() - 7_200_000), end: new Date(Date.now() - 3_600_000) };
    const candles = await client.getCandles("bitfinex", "BTCUSD", "1m", { ...range, page: 7 });
    const newest = await marketd.fetchCandles("BTCUSD", "1m", 1, options);
    const trades = [];
    for await (const one of client.iterTrades("BTCUSDT", { provider: "binance", page: 4 })) if (trades.push(one) === 10) break;
    const refused = await client.fetchCandles("NOPE", "1m").catch((error: InstanceType<Library["MarketDataError"]>) => [error.kind, error.parameter ?? ""]);
    if (newest.length !== 1) throw new Error("no newest candle");
    return { candles: marketd.writeJson(candles), trades: marketd.writeJson(trades), refused: refused as string[] };
  }, baseUrl);
}

test("a page of its own asks without an address, and has every digit and nanosecond that Node has", async () => {
  const page = await ownPage();
  const { candles, trades, refused } = await asked(page, undefined);
  const raw = await (await fetch(`${daemon.url}/trades?symbol=BTCUSDT&provider=binance&limit=10`)).text();
  const first = JSON.parse(candles) as { open_time: string; close: string }[];
  const { exchange, ...one } = { exchange: "bitfinex", start: first[0]!.open_time, end: first.at(-1)!.open_time };
  const inNode = await new MarketDataClient({ baseUrl: daemon.url }).getCandles(exchange, "BTCUSD", "1m", one);
  await page.close();

  assert.deepEqual(first.slice(0, -1), inNode);
  assert.deepEqual(trades.match(/"ts_recv":\d+/g), raw.match(/"ts_recv":\d+/g));
  assert.deepEqual(refused, ["not-found", "symbol"]);
});

test("a page of somebody else's on this machine reads, and changes nothing", async () => {
  const page = await otherPage();
  const { trades } = await asked(page, daemon.url);
  const kind = await page.evaluate(
    async ({ baseUrl, token }) => {
      const client = new marketd.MarketDataClient({ baseUrl, token, attempts: 1 });
      return client.setSubscriptions(["BTCUSDT"]).catch((error: InstanceType<Library["MarketDataError"]>) => error.kind);
    },
    { baseUrl: daemon.url, token: daemon.token },
  );
  await page.close();

  assert.equal(trades.match(/"trade_id"/g)?.length, 10);
  assert.equal(kind, "unreachable"); // the browser keeps it from asking
});

test("with the token a page of its own changes what is collected", async () => {
  const page = await ownPage();
  const { pairs } = await new MarketDataClient({ baseUrl: daemon.url }).get("/pairs", {});
  const added = await page.evaluate(
    async ({ token, symbols }) => (await new marketd.MarketDataClient({ token }).setSubscriptions(symbols)).added,
    { token: daemon.token, symbols: pairs },
  );
  await page.close();

  assert.deepEqual(added, []);
});

test("in a browser too a stream goes on after a break, every trade once and in order", async () => {
  const page = await otherPage();
  await page.evaluate((baseUrl) => {
    globalThis.heard = [];
    globalThis.missed = 0;
    globalThis.stream = new marketd.MarketDataClient({ baseUrl }).stream();
    stream.subscribe(
      { type: "trade", provider: "binance", symbol: "BTCUSDT" },
      {
        onEvent: (event) => heard.push({ pos: event.pos, snapshot: event.snapshot === true, exact: typeof event.ts_recv === "bigint" }),
        onMissed: () => missed++,
      },
    );
  }, await line.open());
  const count = () => page.evaluate(() => heard.length);
  for (let breaks = 0; breaks < 2; breaks++) {
    const had = await count();
    await eventually(count, (now) => now > had + 5);
    line.cut();
  }
  const had = await count();
  await eventually(count, (now) => now > had + 5);
  const [all, lost] = await page.evaluate(() => (stream.close(), [heard, missed] as const));
  await page.close();
  const positions = all.filter((one) => !one.snapshot).map((one) => one.pos);

  assert.equal(lost, 0);
  assert.ok(all.every((one) => one.exact));
  assert.deepEqual(positions, positions.map((_, at) => positions[0]! + at));
});
