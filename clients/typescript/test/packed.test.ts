// Packed messages (permessage-deflate) where nobody but the platform unpacks them.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";

import { chromium } from "playwright-core";

import { startDaemon } from "./daemon.js";

/** Trades of two pairs by a plain WebSocket, which offers what its platform offers; the request is long enough to be packed too. */
function plainly(url: string): Promise<{ extensions: string; positions: Record<string, number[]> }> {
  return new Promise((found, failed) => {
    const positions: Record<string, number[]> = { BTCUSDT: [], ETHUSDT: [] };
    const socket = new WebSocket(`${url.replace("http", "ws")}/ws`);
    const channels = Object.keys(positions).map((symbol) => ({ type: "trade", provider: "binance", symbol }));
    socket.onopen = () => socket.send(JSON.stringify({ op: "subscribe", id: "x".repeat(60), channels }));
    socket.onclose = (event) => failed(new Error(`closed: ${event.code} ${event.reason}`));
    socket.onmessage = ({ data }: MessageEvent<string>) => {
      const event = JSON.parse(data) as { type?: string; symbol: string; pos: number; snapshot?: boolean };
      if (event.type !== "trade" || event.snapshot) return;
      positions[event.symbol]!.push(event.pos);
      if (Object.values(positions).some((one) => one.length < 20)) return;
      found({ extensions: socket.extensions, positions });
      socket.close();
    };
  });
}

test("browser and Node unpack what the server packs once for all, each message whole", async () => {
  const daemon = await startDaemon();
  const elsewhere = createServer((_, response) => void response.writeHead(200, { "content-type": "text/html" }).end("<p>a page"));
  elsewhere.listen(0, "127.0.0.1");
  await once(elsewhere, "listening");
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
  try {
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}/`);
    const [inBrowser, inNode] = await Promise.all([page.evaluate(plainly, daemon.url), plainly(daemon.url)]);

    assert.match(inBrowser.extensions, /^permessage-deflate/);
    for (const { positions } of [inBrowser, inNode])
      for (const one of Object.values(positions)) assert.deepEqual(one, one.map((_, at) => one[0]! + at));
  } finally {
    await browser.close();
    elsewhere.close();
    await daemon.stop();
  }
});
