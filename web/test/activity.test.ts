// Redis Activity on a real server: the candle cache and those who live off it run as processes, a browser looks on.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import type { Browser, Page } from "playwright-core";
import { eventually } from "../../clients/typescript/test/daemon.js";
import { figure, openBrowser, Program, watch, World, WITHIN_MS } from "./world.js";

const CONSUMERS = ["scanner", "ta-service", "trader-bot"] as const;
const KEPT = 300; // entries that the page holds
const FIRST = 100; // of them those it begins with
const NOTES = 20;

interface Entry {
  id: string;
  type: string;
  source: string;
  channel: string;
  summary: string;
  payload_size: number;
  timestamp: string;
}

let world: World;
let browser: Browser;
let environ: Record<string, string>;
const programs = new Map<string, Program>();

before(async () => {
  world = await World.open("--venues", "binance_us", "--redis", "--coins", "--rate", "0");
  browser = await openBrowser();
  environ = { ...world.environ, MARKETD__CACHE__SPREAD: "0.05" };
  programs.set("candle-cache", await Program.start(["--profile", "candle-cache"], environ));
});

after(async () => {
  await browser?.close();
  await Promise.all([...programs.values()].map((one) => one.end()));
  await world?.close();
});

/** When each entry was painted, ms since the epoch; asked of the page, which notes it by itself. */
async function paintedOf(page: Page): Promise<Map<string, number>> {
  return new Map(Object.entries(await page.evaluate(() => (window as unknown as { painted: Record<string, number> }).painted)));
}

async function notePaints(page: Page): Promise<void> {
  await page.addInitScript(() => {
    const painted: Record<string, number> = {};
    Object.assign(window, { painted });
    const look = (): void => {
      const fresh = [...document.querySelectorAll<HTMLElement>("#redis-activity tr[data-id]")].filter((row) => !(row.dataset.id! in painted));
      if (fresh.length === 0) return;
      for (const row of fresh) painted[row.dataset.id!] = NaN;
      // The frame after the next one begins once this one is on the screen.
      requestAnimationFrame(() => requestAnimationFrame(() => fresh.forEach((row) => (painted[row.dataset.id!] = Date.now()))));
    };
    new MutationObserver(look).observe(document, { childList: true, subtree: true });
  });
}

/** The rows as they are: id, and what a person reads. */
function rowsOf(page: Page): Promise<string[][]> {
  return page.locator("#redis-activity tbody tr").evaluateAll((rows) =>
    rows.map((row) => [(row as HTMLElement).dataset.id ?? "", ...[...row.querySelectorAll("td")].map((cell) => cell.textContent ?? "")]),
  );
}

function readOf(one: Entry): string[] {
  return [one.id, one.timestamp.slice(11, 19), one.type, one.source, one.channel, one.summary, one.payload_size.toLocaleString("en-US")];
}

/** Whether an entry is not newer than another. */
function isUpTo(id: string, last: string): boolean {
  const [ms, number] = id.split("-").map(Number) as [number, number];
  const [lastMs, lastNumber] = last.split("-").map(Number) as [number, number];
  return ms < lastMs || (ms === lastMs && number <= lastNumber);
}

const urlOf = (profile: string): string => programs.get(profile)!.url;

test("each new entry of every process is on the screen, soon", async () => {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  const { page, console: faults } = await watch(context);
  await notePaints(page);
  await page.goto(`${urlOf("candle-cache")}/#/status`);
  await page.locator("#redis-activity tbody tr").first().waitFor();
  const known = new Set((await rowsOf(page)).map(([id]) => id!));

  // What a program of the user's own logs: told, then awaited, so that nothing but the live tail can bring it.
  for (let number = 1; number <= NOTES; number++) {
    await world.tell({ trade: `bought ${number} on paper` });
    await page.locator("#redis-activity .what", { hasText: new RegExp(`bought ${number} on paper$`) }).waitFor();
  }
  // What the processes log by themselves, until each of them was seen.
  for (const profile of CONSUMERS) programs.set(profile, await Program.start(["--profile", profile], environ));
  const sources = async (): Promise<Set<string>> => new Set((await rowsOf(page)).filter(([id]) => !known.has(id!)).map((row) => row[3]!));
  const seen = new Set<string>();
  await eventually(
    async () => (await sources()).forEach((one) => seen.add(one)),
    () => ["market-data", "ta-service", "dashboard", "trader-bot"].every((one) => seen.has(one)),
    4 * WITHIN_MS,
  );
  const delays = [...(await paintedOf(page))].filter(([id, at]) => !known.has(id) && !Number.isNaN(at)).map(([id, at]) => at - Number(id.split("-")[0]));
  await context.close();

  assert.deepEqual(faults, []);
  assert.ok(delays.length > NOTES, `${delays.length} entries were painted`);
  figure("Redis entry to pixel", delays, "ms");
});

test("the filters show what the endpoint answers to the same ones", async () => {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  const { page, console: faults } = await watch(context);
  const url = urlOf("ta-service");
  await page.goto(`${url}/#/status`);
  await page.locator("#redis-activity tbody tr").first().waitFor();
  const queries: { type?: string; source?: string; channel?: string }[] = [
    {},
    { type: "publish" }, { type: "cache_write" }, { type: "cache_read" }, { type: "trade" }, { type: "error" },
    { source: "market-data" }, { source: "ta-service" }, { source: "dashboard" }, { source: "trader-bot" },
    { channel: "market:ohlcv:BTCUSDT:1h" }, { channel: "market:ohlcv:BTCUSDT:" }, { channel: "market:update:all" },
    { type: "cache_read", source: "ta-service" }, { type: "publish", source: "trader-bot" },
    { type: "cache_write", channel: "market:price:BTCUSDT" }, { type: "cache_read", source: "ta-service", channel: "market:ohlcv:ETHUSDT:5m" },
  ];
  let filled = 0;
  for (const query of queries) {
    await page.getByLabel("Type", { exact: true }).selectOption(query.type ?? "");
    await page.getByLabel("Source", { exact: true }).selectOption(query.source ?? "");
    await page.getByLabel("Channel or key").fill(query.channel ?? "");
    const asked = `${url}/api/redis/log?${new URLSearchParams({ limit: "1000", ...query })}`;
    const said = async (): Promise<Entry[]> => (await (await fetch(asked)).json()) as Entry[];
    // What is shown and what is answered meet as soon as the page has followed the choice; newer entries come to both.
    const differs = async (): Promise<string> => {
      const shown = await rowsOf(page);
      const entries = await said();
      if (shown.length === 0) return entries.length === 0 && (await page.getByText("Nothing like that yet").isVisible()) ? "" : "nothing is shown";
      const upTo = entries.filter((one) => isUpTo(one.id, shown[0]![0]!)).map(readOf);
      if (shown.length < Math.min(FIRST, upTo.length) || shown.length > KEPT) return `${shown.length} are shown of ${upTo.length}`;
      const at = shown.findIndex((row, place) => JSON.stringify(row) !== JSON.stringify(upTo[place]));
      return at < 0 ? "" : `row ${at}: shown ${JSON.stringify(shown[at])}, answered ${JSON.stringify(upTo[at])}`;
    };
    let last = "";
    await eventually(async () => (last = await differs()), (one) => one === "", 30_000).catch(() => assert.fail(`${JSON.stringify(query)}: ${last}`));
    filled += Number((await rowsOf(page)).length > 0);
  }
  await context.close();

  assert.deepEqual(faults, []);
  assert.ok(filled > 10, `${filled} of them showed something`);
});
