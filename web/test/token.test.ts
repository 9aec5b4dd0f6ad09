// A daemon behind a token: the page asks once, says a wrong one plainly, works after, and the token is nowhere it can be read.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";

import type { Browser, Page } from "playwright-core";
import { openBrowser, Program, SHOTS, watch, World } from "./world.js";

const TOKEN = `right-${randomUUID()}`;
const WRONG = `wrong-${randomUUID()}`;
const LOOK = { viewport: { width: 1440, height: 900 } };

let world: World;
let browser: Browser;
let daemon: Program;

before(async () => {
  await mkdir(SHOTS, { recursive: true });
  world = await World.open("--venues", "binance");
  browser = await openBrowser();
  daemon = await Program.start(["--profile", "all-in-one", "--roles", "ingest,archive", "--provider", "binance", "--log-level", "debug"], {
    ...world.environ,
    MARKETD_API_TOKEN: TOKEN,
    MARKETD__EXCHANGES__BINANCE__SYMBOLS: "BTCUSDT",
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

const banner = (page: Page) => page.locator(".banner", { hasText: "asks for its token" });

/** Where either token stands in what is kept in files. */
async function filesWith(directory: string): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const bytes = await readFile(path);
    if (bytes.includes(TOKEN) || bytes.includes(WRONG)) found.push(path);
  }
  return found;
}

test("the page asks once, refuses a wrong token in words, and works with the right one", async () => {
  const context = await browser.newContext(LOOK);
  const { page, console: faults, asked } = await watch(context);
  await page.goto(`${daemon.url}/`);
  await banner(page).waitFor();
  await page.getByText("Behind its token").waitFor();
  await page.locator(".health", { hasText: "locked" }).waitFor();
  await page.screenshot({ path: join(SHOTS, "token-needed.png") });
  await page.getByRole("button", { name: "Enter the token" }).click();
  const dialog = page.locator("dialog[open]");
  await dialog.getByLabel("Token").fill(WRONG);
  await dialog.getByRole("button", { name: "Go on" }).click();
  await dialog.getByText("That token was not accepted.").waitFor();
  await page.screenshot({ path: join(SHOTS, "token-refused.png") });
  await dialog.getByLabel("Token").fill(TOKEN);
  await dialog.getByRole("button", { name: "Go on" }).click();
  await page.locator("table.markets .flash").first().waitFor();
  const denied = faults.splice(0);

  // From here on nothing asks again: neither other views, nor what changes something, nor the page loaded anew.
  await page.keyboard.press("2");
  await page.locator(".chart-host:not(.veiled)").waitFor();
  await page.locator(".tape tbody tr").first().waitFor();
  await page.keyboard.press("3");
  await page.locator(".map-side button").first().click();
  await page.locator(".map-side button", { hasText: "Asked" }).waitFor();
  await page.keyboard.press("4");
  await page.locator(".page h1", { hasText: "Status" }).waitFor();
  await page.reload();
  await page.locator(".nav a.on").waitFor();
  await page.keyboard.press("1");
  await page.locator("table.markets .flash").first().waitFor();
  await page.locator(".health .dot.pulse").waitFor();
  const asks = (await banner(page).count()) + (await dialog.count());
  const kept = await page.evaluate(() => [location.href, JSON.stringify(localStorage), document.cookie].join("\n"));
  await context.close();
  const places = [...asked, ...faults, ...denied, kept, daemon.said].filter((text) => text.includes(TOKEN) || text.includes(WRONG));
  const files = await filesWith(daemon.home);

  assert.equal(asks, 0);
  assert.deepEqual([places, files], [[], []]);
  assert.deepEqual(faults, []);
  // The browser itself notes each answer that refuses; there is no other way for the page to learn that a token is needed.
  assert.deepEqual(denied.filter((one) => !one.includes("401 (Unauthorized)")), []);
});

test("a token that is to be remembered is, and another tab does not ask", async () => {
  const context = await browser.newContext(LOOK);
  const { page } = await watch(context);
  await page.goto(`${daemon.url}/`);
  await page.getByRole("button", { name: "Enter the token" }).click();
  await page.getByLabel("Token", { exact: true }).fill(TOKEN);
  await page.getByLabel("Remember it on this device").check();
  await page.getByRole("button", { name: "Go on" }).click();
  await page.locator("table.markets .flash").first().waitFor();
  const other = await watch(context);
  await other.page.goto(`${daemon.url}/`);
  await other.page.locator("table.markets .flash").first().waitFor();
  const asks = await banner(other.page).count();
  await context.close();

  assert.equal(asks, 0);
  assert.deepEqual(other.console, []);
});
