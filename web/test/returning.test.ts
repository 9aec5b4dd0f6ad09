// A daemon that goes away and comes back, to a venue that answers late: the page says so, comes back by itself, and lacks nothing.

import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { chromium } from "playwright-core";
import { eventually, startDaemon } from "../../clients/typescript/test/daemon.js";

const SHOTS = process.env.MARKETD_SCREENSHOTS ?? join(process.cwd(), "..", "screenshots");

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((listening) => server.once("listening", listening));
  const { port } = server.address() as AddressInfo;
  await new Promise((closed) => server.close(closed));
  return port;
}

test("the page comes back by itself with what it missed", async () => {
  const directory = await mkdtemp(join(tmpdir(), "marketd-web-"));
  await mkdir(SHOTS, { recursive: true });
  const port = await freePort();
  let daemon = await startDaemon(port, directory);
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
  try {
    const page = await browser.newPage();
    page.setDefaultTimeout(300_000);
    await page.goto(`${daemon.url}/#/chart/binance/BTCUSDT/1m`);
    await page.locator(".chart-host:not(.veiled)").waitFor();
    await page.keyboard.press("t");
    const newest = page.locator("#candles tbody tr").first();
    const leftAt = Number(await newest.getAttribute("data-time"));
    await daemon.stop();
    await page.locator(".banner.bad").waitFor();
    // Away until the candle that formed, and the one after it, are over.
    await new Promise((resume) => setTimeout(resume, Math.max(0, (leftAt + 125) * 1000 - Date.now())));
    daemon = await startDaemon(port, directory, ["--faults", "error500:venue=binance,symbol=BTCUSDT,for=100s"]);
    await page.locator(".banner.bad").waitFor({ state: "detached" });
    const map = await browser.newPage({ viewport: { width: 1440, height: 900 } });
    map.setDefaultTimeout(300_000);
    await map.goto(`${daemon.url}/#/completeness`);
    const row = map.locator(".map-row").filter({ has: map.locator(`a[href="#/chart/binance/BTCUSDT/1m"]`) });
    await row.locator(".badge.bad").waitFor(); // what is not there is on the map, and why
    const why = await row.locator("[title]:has(.badge.bad)").getAttribute("title");
    await map.screenshot({ path: join(SHOTS, "completeness-gap.png") });
    await row.locator(".badge.ok").waitFor();
    const times = async (): Promise<number[]> => page.locator("#candles tbody tr").evaluateAll((rows) => rows.map((row) => Number((row as HTMLElement).dataset.time)));
    const found = await eventually(times, (all) => all[0]! >= leftAt + 120 && all.includes(leftAt) && all.includes(leftAt + 60), 300_000);
    const steps = new Set(found.slice(1).map((time, at) => found[at]! - time));

    assert.match(why ?? "", /500/);
    assert.deepEqual([...steps], [60]);
  } finally {
    await browser.close();
    await daemon.stop();
    await rm(directory, { recursive: true, force: true });
  }
});
