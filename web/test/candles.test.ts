import assert from "node:assert/strict";
import { test } from "node:test";

import { Candles, decimalsOf, lacking, type Held } from "../src/charts/candles.js";

const T0 = 1_731_605_400;

function stored(minute: number, close = "100.50", more: { closed?: boolean; revision?: number } = {}) {
  const at = (minutes: number): string => new Date((T0 + minutes * 60) * 1000).toISOString();
  const names = { exchange: "binance", symbol: "BTCUSDT", timeframe: "1m", open_time: at(minute), close_time: at(minute + 1) };
  return { ...names, open: "100.00", high: "101.000", low: "99", close, volume: "1.50", closed: true, revision: 0, ...more };
}

function live(minute: number, close: string, closed = false, revision = 0) {
  const open = BigInt(T0 + minute * 60) * 1_000_000_000n;
  const times = { ts_event: null, ts_recv: open, open_time: open, close_time: open + 60_000_000_000n };
  const names = { type: "candle" as const, provider: "binance", symbol: "BTCUSDT", timeframe: "1m" };
  return { ...names, ...times, open: "100.00", high: "101.000", low: "99", close, volume: "1.50", closed, revision, repaired: false };
}

const closes = (candles: Candles): string[] => candles.all.map((one) => one.digits.close);

test("history and live candles are one series, whichever comes first", () => {
  const candles = new Candles();

  assert.equal(candles.take(live(3, "103")), "new");
  candles.merge([stored(1, "101"), stored(2, "102"), stored(3, "102.9", { closed: false })]);
  assert.equal(candles.take(live(3, "103.5")), "last");
  assert.equal(candles.take(live(4, "104")), "new");
  assert.deepEqual(closes(candles), ["101", "102", "103.5", "104"]);
});

test("what is closed is not opened again, and a correction stays", () => {
  const candles = new Candles();
  candles.merge([stored(1, "101", { revision: 1 }), stored(2, "102")]);

  assert.equal(candles.take(live(1, "99", true, 0)), null);
  assert.equal(candles.take(live(2, "99")), null);
  assert.equal(candles.take(live(2, "102.5", true, 1)), "last");
  assert.equal(candles.take(live(1, "98", true, 2)), "within");
  assert.deepEqual(closes(candles), ["98", "102.5"]);
});

test("a late candle takes its place", () => {
  const candles = new Candles();
  candles.merge([stored(1), stored(4)]);

  assert.equal(candles.take(live(2, "102", true)), "within");
  assert.deepEqual(candles.all.map((one) => (one.time - T0) / 60), [1, 2, 4]);
});

test("what is stored and not held is found, what nobody has is not asked for", () => {
  const at = (minute: number): number => T0 + minute * 60;
  const held = (minute: number, closed = true): Held => ({ time: at(minute), open: 1, high: 1, low: 1, close: 1, volume: 1, digits: { open: "1", high: "1", low: "1", close: "1", volume: "1" }, closed, revision: 0 });

  assert.equal(lacking([held(1), held(2), held(3, false)], [], 60), null);
  assert.deepEqual(lacking([held(1), held(5), held(6)], [], 60), { from: at(2), to: at(5) });
  assert.equal(lacking([held(1), held(5), held(6)], [{ from: at(2), to: at(5) }], 60), null);
  assert.deepEqual(lacking([held(1), held(7), held(8)], [{ from: at(3), to: at(5) }], 60), { from: at(2), to: at(7) });
  assert.deepEqual(lacking([held(1), held(2, false), held(3)], [], 60), { from: at(2), to: at(3) });
});

test("prices get as many decimals as they need", () => {
  const candles = new Candles();
  candles.merge([stored(1, "100.12300000")]);

  assert.equal(decimalsOf(candles.all), 3);
});
