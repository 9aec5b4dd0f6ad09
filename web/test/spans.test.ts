import assert from "node:assert/strict";
import { test } from "node:test";

import { spans, type Said } from "../src/spans.js";

function said(at: number, state: string, venue = "binance", symbol: string | null = null): Said {
  return { at, venue, symbol, state, reason: "", key: `${at}` };
}

test("what was said of a line holds until the next that was said of it", () => {
  const found = spans([said(9, "connected"), said(7, "connected", "kraken"), said(5, "disconnected"), said(1, "connected")]);

  assert.deepEqual(found.map((one) => one.until), [null, null, 9, 5]);
});

test("a symbol has a state of its own, and a switch ends no line's", () => {
  const found = spans([said(9, "switched"), said(6, "stale", "binance", "BTCUSDT"), said(4, "switched", "bybit"), said(2, "connected")]);

  assert.deepEqual(found.map((one) => one.until), [null, null, 9, null]);
});

test("what an earlier run said held until that run ended", () => {
  const found = spans([said(9, "connected"), said(4, "connected"), said(2, "disconnected"), said(1, "connected", "kraken")], 6);

  assert.deepEqual(found.map((one) => one.until), [null, "restart", 4, "restart"]);
});
