// A gap that a venue makes is red on the map and a hole in the chart, says why, stays while the venue is ill, and goes at a press.

import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";

import type { Browser, Locator, Page } from "playwright-core";
import { eventually } from "../../clients/typescript/test/daemon.js";
import { tableOf } from "./table.js";
import { figure, openBrowser, Program, SHOTS, watch, World, WITHIN_MS } from "./world.js";

const CHART = "#/chart/binance/BTCUSDT/1m";
const LOOK = { viewport: { width: 1440, height: 900 } };
const MINUTE_MS = 60_000;

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
    MARKETD__EXCHANGES__BINANCE__CHANNELS: "trade,quote,candle",
    MARKETD__EXCHANGES__BINANCE__TIMEFRAMES: "1m",
    MARKETD__DAEMON__BACKFILL_DAYS: "1",
  });
});

after(async () => {
  await browser?.close();
  await daemon?.end();
  await world?.close();
});

interface Stretch {
  start: string;
  end: string;
  state: string;
  cause: string;
}

const ledger = (): Promise<Stretch[]> => daemon.ask("/ledger?exchange=binance&symbol=BTCUSDT&timeframe=1m");

/** Where in a row of the map something has the colour of what is missing: x from its left edge; none: null. */
function redAt(row: Locator): Promise<number | null> {
  return row.locator("canvas").evaluate((element) => {
    const canvas = element as HTMLCanvasElement;
    const tone = getComputedStyle(document.querySelector(".legend .swatch.missing")!).backgroundColor.match(/\d+/g)!.slice(0, 3).map(Number);
    const copy = new OffscreenCanvas(canvas.width, 1).getContext("2d", { willReadFrequently: true })!; // the page's own stays as it is
    copy.drawImage(canvas, 0, -(canvas.height >> 1));
    const { data, width } = copy.getImageData(0, 0, canvas.width, 1);
    for (let x = 0; x < width; x++) {
      if (tone.every((part, at) => Math.abs(data[4 * x + at]! - part) < 3) && data[4 * x + 3]! > 250) return (x * canvas.clientWidth) / width;
    }
    return null;
  });
}

const rowOf = (page: Page, symbol: string): Locator => page.locator(".map-row").filter({ has: page.locator(`a[href="#/chart/binance/${symbol}/1m"]`) });

test("a gap of the venue's is red with its cause, and a press repairs it once the venue can", async () => {
  const context = await browser.newContext(LOOK);
  const { page: map, console: faults } = await watch(context);
  const chart = await watch(context);
  await map.goto(`${daemon.url}/#/completeness`);
  await map.getByRole("button", { name: "6 h" }).click();
  const row = rowOf(map, "BTCUSDT");
  await row.locator(".badge.ok", { hasText: "whole" }).waitFor();
  await eventually(() => redAt(row), (at) => at === null);
  await chart.page.goto(`${daemon.url}/${CHART}`);
  await chart.page.locator(".chart-host:not(.veiled)").waitFor();
  await chart.page.keyboard.press("t");
  await eventually(async () => (await tableOf(chart.page)).length, (rows) => rows > 100);

  // The venue sends no candle of one symbol for more than a minute, and cannot be asked for it either.
  const missed = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS + MINUTE_MS;
  await world.tell({ fault: "garbage", venue: "binance", symbol: "BTCUSDT", path: "klines" });
  await world.tell({ fault: "mute", venue: "binance", symbol: "BTCUSDT", channel: "candle" });
  await new Promise((resume) => setTimeout(resume, missed + MINUTE_MS + 1000 - Date.now()));
  await world.tell({ heal: "binance" });
  await world.tell({ fault: "garbage", venue: "binance", symbol: "BTCUSDT", path: "klines" });

  await row.locator(".badge.bad", { hasText: "missing" }).waitFor();
  const x = await eventually(() => redAt(row), (at) => at !== null);
  const isMissed = (one: Stretch): boolean => one.state === "missing" && Date.parse(one.start) <= missed && missed < Date.parse(one.end);
  const said = await eventually(ledger, (rows) => rows.some(isMissed));
  const canvas = (await row.locator("canvas").boundingBox())!;
  await map.mouse.move(canvas.x + x! + 1, canvas.y + canvas.height / 2);
  const tip = map.locator(".tip");
  await tip.getByText("missing").waitFor();
  const cause = (await tip.textContent()) ?? "";
  await map.screenshot({ path: join(SHOTS, "completeness-gap.png") });
  await chart.page.locator(".chart-legend .badge", { hasText: "gap" }).waitFor();
  await chart.page.locator("#candles tbody tr", { hasText: "unfinished" }).waitFor(); // what formed when the candles stopped
  await chart.page.screenshot({ path: join(SHOTS, "chart-gap.png") });
  const other = await redAt(rowOf(map, "ETHUSDT"));

  // A press while the venue is ill changes nothing, and puts off the daemon's own next try: what follows is the press's work.
  const repair = row.getByRole("button");
  await repair.click();
  const dialog = map.locator("dialog[open]");
  await dialog.getByLabel("Token").fill(await daemon.token());
  await dialog.getByRole("button", { name: "Go on" }).click();
  const tries = (): number => daemon.said.split("\n").filter((line) => line.includes("archive.incomplete") && line.includes("BTCUSDT")).length;
  for (let press = 0; press < 3; press++) {
    const before = tries();
    if (press > 0) await repair.click();
    await row.getByText("Asked").waitFor();
    await eventually(async () => tries(), (now) => now > before, WITHIN_MS);
    await row.getByText("Repair").waitFor();
  }
  const still = await redAt(row);
  const inS = Math.max(...[...daemon.said.matchAll(/"again_in_s": ?(\d+)/g)].map((found) => Number(found[1])));

  await world.tell({ heal: "binance" });
  const pressed = Date.now();
  await repair.click();
  await row.locator(".badge.ok", { hasText: "whole" }).waitFor();
  await eventually(() => redAt(row), (at) => at === null);
  const took = Date.now() - pressed;
  figure("repair pressed to the map without red", [took], "ms");
  await eventually(() => tableOf(chart.page), (rows) => rows.some((one) => one.time === missed / 1000), WITHIN_MS);
  await chart.page.locator(".chart-legend .badge").waitFor({ state: "detached" });
  const dialogs = await dialog.count();
  const after = await ledger();
  await map.screenshot({ path: join(SHOTS, "completeness-repaired.png") });
  await context.close();

  assert.ok(said.some(isMissed));
  assert.match(cause, /missing.*(skipped|fetch failed)/s);
  assert.equal(other, null, "another series is red too");
  assert.notEqual(still, null, "it went while the venue could not be asked");
  assert.ok(inS * 1000 > took, `the daemon would have asked by itself within ${inS} s, it took ${took} ms`);
  assert.equal(dialogs, 0);
  assert.deepEqual(after.filter((one) => one.state === "missing"), []);
  assert.deepEqual([faults, chart.console], [[], []]);
});
