// The chart's digits are those of the API while live candles arrive; a daemon that is killed comes back with what was missed.

import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";

import type { Browser, Page } from "playwright-core";
import { eventually } from "../../clients/typescript/test/daemon.js";
import { price, size } from "../src/format.js";
import { digitsOf, difference, tableOf } from "./table.js";
import { figure, openBrowser, Program, SHOTS, watch, World, WITHIN_MS } from "./world.js";

const SERIES = "exchange=binance&symbol=BTCUSDT&timeframe=1m";
const CHART = "#/chart/binance/BTCUSDT/1m";
const LOOK = { viewport: { width: 1440, height: 900 } };
const TRADES = 100;

let world: World;
let browser: Browser;
let daemon: Program;

before(async () => {
  await mkdir(SHOTS, { recursive: true });
  world = await World.open("--venues", "binance");
  browser = await openBrowser();
  daemon = await Program.start(["--profile", "all-in-one", "--roles", "ingest,archive", "--provider", "binance"], {
    ...world.environ,
    MARKETD__EXCHANGES__BINANCE__SYMBOLS: "BTCUSDT,ETHUSDT",
    MARKETD__EXCHANGES__BINANCE__CHANNELS: "trade,quote,book,candle",
    MARKETD__EXCHANGES__BINANCE__TIMEFRAMES: "1m",
    MARKETD__DAEMON__BACKFILL_DAYS: "1",
  });
});

after(async () => {
  await browser?.close();
  await daemon?.end();
  await world?.close();
});

/** The chart with its table, once it has the day that is kept. */
async function opened(page: Page): Promise<void> {
  await page.goto(`${daemon.url}/${CHART}`);
  await page.locator(".chart-host:not(.veiled)").waitFor();
  await page.keyboard.press("t");
  await eventually(async () => (await tableOf(page)).length, (rows) => rows === 200, WITHIN_MS);
}

/** Until the table says what the API does, the forming candle too; what differed last if it never does. */
async function agree(page: Page): Promise<void> {
  let last = "";
  const differs = async (): Promise<string> => {
    const shown = await tableOf(page);
    const start = new Date(shown.at(-1)!.time * 1000).toISOString();
    const stored = digitsOf(await daemon.ask(`/candles?${SERIES}&start=${start}&numbers=string&include=closed,revision`));
    return (last = difference(shown, stored));
  };
  await eventually(differs, (one) => one === "", 60_000).catch(() => assert.fail(last));
}

test("the table's candles are those of the API to the digit, the forming one too, through the end of a minute", async () => {
  const context = await browser.newContext(LOOK);
  const { page, console: faults } = await watch(context);
  await opened(page);
  const volume = page.locator("#candles tbody tr[data-closed=false] td.n").last();
  for (let round = 0; round < 5; round++) {
    const before = await volume.textContent();
    await eventually(() => volume.textContent(), (now) => now !== before);
    await agree(page);
  }
  const forming = (await tableOf(page))[0]!.time;
  await eventually(() => tableOf(page), (rows) => rows[0]!.time > forming && rows[1]!.closed, 2 * WITHIN_MS);
  await agree(page);
  const times = (await tableOf(page)).map((row) => row.time);
  await context.close();

  assert.deepEqual(faults, []);
  assert.ok(times.includes(forming));
  assert.deepEqual(new Set(times.slice(1).map((time, at) => times[at]! - time)), new Set([60]));
});

test("what is drawn is that too: each candle that the mouse points at", async () => {
  const context = await browser.newContext(LOOK);
  const { page, console: faults } = await watch(context);
  await opened(page);
  await page.keyboard.press("t");
  const stored = digitsOf(await daemon.ask(`/candles/latest?${SERIES}&limit=150&numbers=string&include=closed,revision`)).filter((one) => one.closed);
  const known = new Map(stored.map((one) => [[...one.digits.slice(0, 4).map(price), size(one.digits[4])].join(" "), one.time]));
  const box = (await page.locator(".chart-host").boundingBox())!;
  const pointed: number[] = [];
  const strange: string[] = [];
  for (let x = 0.35; x < 0.85; x += 0.02) {
    await page.mouse.move(box.x + x * box.width, box.y + 0.4 * box.height);
    await page.evaluate(() => new Promise((painted) => requestAnimationFrame(() => requestAnimationFrame(painted))));
    const said = (await page.locator(".legend-values b").allTextContents()).join(" ");
    const time = known.get(said);
    if (time === undefined) strange.push(said);
    else pointed.push(time);
  }
  await context.close();

  assert.deepEqual([faults, strange], [[], []]);
  assert.ok(new Set(pointed).size > 20, `${new Set(pointed).size} candles were pointed at`);
  assert.deepEqual(pointed, [...pointed].sort((a, b) => a - b));
});

test("a trade is on the screen soon after it is received, and the page itself soon after it is asked for", async () => {
  const context = await browser.newContext(LOOK);
  const { page, console: faults } = await watch(context);
  await page.addInitScript(() => {
    const painted: Record<string, number> = {};
    const received: Record<string, number> = {};
    Object.assign(window, { painted, received });
    const Plain = window.WebSocket;
    window.WebSocket = class extends Plain {
      constructor(...words: ConstructorParameters<typeof Plain>) {
        super(...words);
        this.addEventListener("message", ({ data }) => {
          for (const [, ns, id] of String(data).matchAll(/"ts_recv":(\d+)[^{}]*?"trade_id":"([^"]+)"/g)) received[id!] = Number(ns!.slice(0, -6));
        });
      }
    };
    new MutationObserver(() => {
      const fresh = [...document.querySelectorAll<HTMLElement>(".tape tr[data-id]")].map((row) => row.dataset.id!).filter((id) => !(id in painted));
      for (const id of fresh) painted[id] = NaN;
      if (fresh.length > 0) requestAnimationFrame(() => requestAnimationFrame(() => fresh.forEach((id) => (painted[id] = Date.now()))));
    }).observe(document, { childList: true, subtree: true });
  });
  await page.goto(`${daemon.url}/${CHART}`);
  await page.locator(".tape tr[data-id]").first().waitFor();
  const began = Date.now();
  const delaysOf = (): Promise<number[]> =>
    page.evaluate((from) => {
      const { painted, received } = window as unknown as Record<"painted" | "received", Record<string, number>>;
      return Object.entries(painted).flatMap(([id, at]) => (received[id] !== undefined && received[id] > from && !Number.isNaN(at) ? [at - received[id]] : []));
    }, began);
  const delays = await eventually(delaysOf, (found) => found.length >= TRADES, WITHIN_MS);
  const paint = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]!.startTime);
  await context.close();

  const meaningful: number[] = [];
  for (let visit = 0; visit < 5; visit++) {
    const fresh = await browser.newContext(LOOK);
    const visited = await watch(fresh);
    await visited.page.addInitScript(() => {
      new MutationObserver((_, observer) => {
        if (document.querySelector(".chart-host:not(.veiled) canvas") === null) return;
        observer.disconnect();
        requestAnimationFrame(() => requestAnimationFrame(() => Object.assign(window, { meaningful: performance.now() })));
      }).observe(document, { childList: true, subtree: true, attributes: true });
    });
    await visited.page.goto(`${daemon.url}/${CHART}`);
    meaningful.push(await eventually(() => visited.page.evaluate(() => (window as unknown as { meaningful?: number }).meaningful ?? 0), (at) => at > 0, WITHIN_MS));
    await fresh.close();
  }
  figure("first contentful paint of the chart", [paint], "ms");
  figure("first meaningful paint: the chart with its candles", meaningful, "ms");
  figure("trade received by the daemon to pixel", delays, "ms");

  assert.deepEqual(faults, []);
});

test("killed and started again, the page comes back by itself and lacks nothing", async () => {
  const context = await browser.newContext(LOOK);
  const { page, console: faults } = await watch(context);
  page.setDefaultTimeout(3 * WITHIN_MS);
  await opened(page);
  assert.deepEqual(faults, []);
  await daemon.kill();
  await page.locator(".banner.bad").waitFor();
  const left = (await tableOf(page))[0]!.time; // only now: a minute may have begun just before
  await page.screenshot({ path: join(SHOTS, "chart-away.png") });
  // Away until the candle that formed, and the one after it, are over; and then the venue's history is ill for a while.
  await new Promise((resume) => setTimeout(resume, Math.max(0, (left + 125) * 1000 - Date.now())));
  await world.tell({ fault: "error500", venue: "binance", symbol: "BTCUSDT" });
  await daemon.begin();
  const back = Date.now();
  await page.locator(".banner.bad").waitFor({ state: "detached" });
  figure("back after the daemon answers again", [Date.now() - back], "ms");
  const lacks = (rows: { time: number }[]): boolean => rows[0]!.time >= left + 120 && !rows.some((row) => row.time === left + 60);
  await eventually(() => tableOf(page), lacks, 2 * WITHIN_MS); // live again, and what was missed is not there
  const map = await context.newPage();
  await map.goto(`${daemon.url}/#/completeness`);
  const row = map.locator(".map-row").filter({ has: map.locator(`a[href="${CHART}"]`) });
  await row.locator(".badge.bad").waitFor({ timeout: WITHIN_MS });
  const why = await row.locator("[title]:has(.badge.bad)").getAttribute("title");
  await world.tell({ heal: "binance" });
  await eventually(() => tableOf(page), (rows) => rows.some((row) => row.time === left + 60), 3 * WITHIN_MS);
  await agree(page);
  await row.locator(".badge.ok").waitFor({ timeout: WITHIN_MS });
  const times = (await tableOf(page)).map((row) => row.time);
  await page.screenshot({ path: join(SHOTS, "chart-back.png") });
  await context.close();

  assert.match(why ?? "", /500/);
  assert.ok(times.includes(left));
  assert.deepEqual(new Set(times.slice(1).map((time, at) => times[at]! - time)), new Set([60]));
  // While nobody listens, the browser itself says of each try that it was in vain; no script of ours can keep it from that.
  assert.deepEqual(faults.filter((one) => !/net::ERR_(CONNECTION_REFUSED|CONNECTION_RESET|EMPTY_RESPONSE|INCOMPLETE_CHUNKED_ENCODING)/.test(one)), []);
});
