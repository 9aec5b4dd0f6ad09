// Every view in a real browser, on a running daemon with simulated venues: what is seen, and what the console says.

import assert from "node:assert/strict";
import { mkdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { after, before, test } from "node:test";

import { chromium, type Browser, type BrowserContext, type Page } from "playwright-core";
import { eventually, startDaemon, type Daemon } from "../../clients/typescript/test/daemon.js";

const SHOTS = process.env.MARKETD_SCREENSHOTS ?? join(process.cwd(), "..", "screenshots");
const WITHIN_MS = 45_000;
const VIEWS = {
  markets: { hash: "#/markets", ready: "table.markets .flash >> nth=9" },
  chart: { hash: "#/chart/binance/BTCUSDT/1m", ready: ".chart-host:not(.veiled) canvas >> nth=0" },
  completeness: { hash: "#/completeness", ready: ".map-row:nth-child(20) canvas:not(.waits)" },
  status: { hash: "#/status", ready: "#redis-activity tbody tr >> nth=0" },
  features: { hash: "#/features", ready: "table.features tbody tr:nth-child(4) .badge" },
  paper: { hash: "#/paper", ready: ".stat-value >> nth=0" },
} as const;
const MODES = {
  dark: { viewport: { width: 1440, height: 900 }, colorScheme: "dark" },
  light: { viewport: { width: 1440, height: 900 }, colorScheme: "light" },
  phone: { viewport: { width: 390, height: 844 }, colorScheme: "dark", deviceScaleFactor: 2, isMobile: true, hasTouch: true },
} as const;

let daemon: Daemon;
let browser: Browser;

before(async () => {
  await mkdir(SHOTS, { recursive: true });
  daemon = await startDaemon();
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
  const whole = async (): Promise<boolean> => {
    const found = (await (await fetch(`${daemon.url}/status`)).json()) as { series: { count: number; reason: string }[] };
    return found.series.length > 20 && found.series.every((one) => one.count > 0 && one.reason === "");
  };
  await eventually(whole, (done) => done, 120_000);
});

after(async () => {
  await browser?.close();
  await daemon?.stop();
});

/** A page that remembers what it was not to do. */
async function watched(context: BrowserContext, faults: string[]): Promise<Page> {
  const page = await context.newPage();
  page.setDefaultTimeout(WITHIN_MS);
  page.on("console", (said) => {
    if (said.type() === "error" || said.type() === "warning") faults.push(`console: ${said.text()}`);
  });
  page.on("pageerror", (error) => faults.push(`error: ${error.message}`));
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.protocol !== "data:" && url.origin !== daemon.url) faults.push(`asked elsewhere: ${request.url()}`);
  });
  return page;
}

for (const [mode, look] of Object.entries(MODES)) {
  for (const [view, { hash, ready }] of Object.entries(VIEWS)) {
    test(`${view} is shown, ${mode}`, async () => {
      const faults: string[] = [];
      const context = await browser.newContext(look);
      const page = await watched(context, faults);
      await page.goto(`${daemon.url}/${hash}`);
      await page.locator(ready).first().waitFor();
      await page.waitForTimeout(1500); // a second of live data in the picture
      await page.screenshot({ path: join(SHOTS, `${view}-${mode}.png`) });
      const wider = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      await context.close();

      assert.deepEqual(faults, []);
      assert.ok(wider <= 0, `wider than the screen by ${wider}`);
    });
  }
}

/** Rows of the chart's table as they are, closed candles only: minute and digits. */
async function shown(page: Page): Promise<Map<number, string[]>> {
  const rows = await page.locator("#candles tbody tr[data-closed=true]").evaluateAll((all) =>
    all.map((row) => [Number((row as HTMLElement).dataset.time), [...row.querySelectorAll("td.n")].map((cell) => cell.textContent ?? "")] as [number, string[]]),
  );
  return new Map(rows);
}

test("the chart's candles are those of the API, digit by digit, while live ones arrive", async () => {
  const context = await browser.newContext(MODES.dark);
  const page = await watched(context, []);
  await page.goto(`${daemon.url}/#/chart/binance/BTCUSDT/1m`);
  await page.locator(".chart-host:not(.veiled)").waitFor();
  await page.keyboard.press("t");
  await page.locator("#candles tbody tr").first().waitFor();
  const volume = page.locator("#candles tbody tr[data-closed=false] td.n").last();
  const before = await volume.textContent();
  await eventually(() => volume.textContent(), (now) => now !== before);
  const rows = await shown(page);
  const answer = await fetch(`${daemon.url}/candles/latest?exchange=binance&symbol=BTCUSDT&timeframe=1m&limit=150&numbers=string&include=closed`);
  const stored = ((await answer.json()) as Record<string, string | boolean>[]).filter((one) => one.closed);
  await context.close();

  assert.ok(stored.length > 100);
  for (const one of stored.slice(0, -1)) {
    const digits = [one.open, one.high, one.low, one.close, one.volume];
    assert.deepEqual(rows.get(Date.parse(String(one.open_time)) / 1000), digits);
  }
});

test("the activity is that of the endpoint, also filtered, and goes on", async () => {
  const context = await browser.newContext(MODES.dark);
  const page = await watched(context, []);
  await page.goto(`${daemon.url}/#/status`);
  const rows = page.locator("#redis-activity tbody tr");
  await rows.first().waitFor();
  await page.getByLabel("Type", { exact: true }).selectOption("publish");
  await page.getByLabel("Source", { exact: true }).selectOption("market-data");
  await eventually(async () => page.locator("#redis-activity .kind").allTextContents(), (all) => all.length > 5 && all.every((one) => one === "publish"));
  await page.keyboard.press("p");
  const summaries = await page.locator("#redis-activity .what").allTextContents();
  const found = (await (await fetch(`${daemon.url}/api/redis/log?limit=1000&type=publish&source=market-data`)).json()) as { summary: string }[];
  await context.close();

  const all = found.map((one) => one.summary);
  const from = all.findIndex((_, at) => all.slice(at, at + summaries.length).join("\n") === summaries.join("\n")); // newer ones may be there by now

  assert.ok(summaries.length > 5);
  assert.notEqual(from, -1, `${summaries.slice(0, 3)} … is not in ${all.slice(0, 10)}`);
});

test("a repair asks for the token once", async () => {
  const context = await browser.newContext(MODES.dark);
  const page = await watched(context, []);
  await page.goto(`${daemon.url}/#/completeness`);
  const repair = page.locator(".map-side button");
  await repair.first().click();
  const dialog = page.locator("dialog[open]");
  await dialog.getByLabel("Token").fill("wrong");
  await dialog.getByRole("button", { name: "Go on" }).click();
  await dialog.getByText("was not accepted").waitFor();
  await dialog.getByLabel("Token").fill(daemon.token);
  await dialog.getByRole("button", { name: "Go on" }).click();
  await repair.first().getByText("Asked").waitFor();
  await repair.nth(3).click();
  await repair.nth(3).getByText("Asked").waitFor();
  const dialogs = await dialog.count();
  await context.close();

  assert.equal(dialogs, 0);
});

test("everything is within reach of the keyboard", async () => {
  const context = await browser.newContext(MODES.dark);
  const page = await watched(context, []);
  await page.goto(`${daemon.url}/`);
  await page.locator(".nav a.on").waitFor();
  for (const [key, title] of [["2", "Chart"], ["3", "Completeness"], ["4", "Status"], ["5", "Features"], ["6", "Paper"], ["1", "Markets"]] as const) {
    await page.keyboard.press(key);
    await page.locator(`.nav a.on:text-is("${title}")`).waitFor();
  }
  await page.keyboard.press("/");
  await page.keyboard.type("eth kraken");
  await page.locator("#found li.on").waitFor();
  await page.keyboard.press("Enter");
  await page.waitForURL(/#\/chart\/kraken\/ETHUSD/);
  await page.keyboard.press("1");
  await page.locator("table.markets tbody tr").first().waitFor();
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  await page.waitForURL(/#\/chart\//);
  await context.close();
});

test("the client works in a browser too, with times to the nanosecond", async () => {
  const context = await browser.newContext();
  const page = await watched(context, []);
  const built = join(import.meta.dirname, "..", "..", "clients", "typescript", "src");
  await page.route(`${daemon.url}/client/*.js`, async (route) => {
    const body = await readFile(join(built, basename(new URL(route.request().url()).pathname)), "utf8");
    await route.fulfill({ body, contentType: "text/javascript" });
  });
  await page.goto(`${daemon.url}/`);
  const found = await page.evaluate(async () => {
    const path = "/client/index.js";
    const { fetchCandles, MarketDataClient } = await import(path);
    const candles = await fetchCandles("BTCUSDT", "1m", 5);
    const stream = new MarketDataClient().stream();
    const trade = await new Promise<{ ts_recv: bigint; price: string }>((come) => {
      stream.subscribe({ type: "trade", provider: "binance", symbol: "BTCUSDT" }, { onEvent: come });
    });
    stream.close();
    return { candles: candles.length, close: typeof candles[0].close, ts: typeof trade.ts_recv, digits: trade.ts_recv.toString().length, price: typeof trade.price };
  });
  await context.close();

  assert.deepEqual(found, { candles: 5, close: "string", ts: "bigint", digits: 19, price: "string" });
});

test("what the page may do is said in its headers, and its files are kept", async () => {
  const page = await fetch(`${daemon.url}/`);
  const script = /src="(\/assets\/[^"]+\.js)"/.exec(await page.text())?.[1];
  const asset = await fetch(`${daemon.url}${script}`);

  assert.match(page.headers.get("content-security-policy") ?? "", /script-src 'self';/);
  assert.doesNotMatch(page.headers.get("content-security-policy") ?? "", /unsafe/);
  assert.equal(page.headers.get("cache-control"), "no-cache");
  assert.match(asset.headers.get("cache-control") ?? "", /immutable/);
});

test("it is there soon", async () => {
  const context = await browser.newContext(MODES.dark);
  const page = await watched(context, []);
  const began = Date.now();
  await page.goto(`${daemon.url}/`);
  await page.locator("table.markets .flash").first().waitFor();
  const firstPrice = Date.now() - began;
  const paint = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? NaN);
  await context.close();
  console.log(`first paint ${paint.toFixed(0)} ms, first price ${firstPrice} ms`);

  assert.ok(paint < 5000 && firstPrice < 20_000, `first paint ${paint} ms, first price ${firstPrice} ms`);
});
