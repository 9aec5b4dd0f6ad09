import assert from "node:assert/strict";
import { test } from "node:test";

import { byCandle, type Mark } from "../src/charts/marks.js";

const candles = [60, 120, 180, 300].map((time) => ({ time }));

function mark(at: number, text = ""): Mark {
  return { at, kind: "signal", buys: true, text, reasons: [] };
}

test("a signal made by the close of a candle stands at that candle", () => {
  assert.deepEqual([...byCandle([mark(120)], candles).keys()], [60]);
});

test("what happened within a candle stands at it, and in a gap at the one before", () => {
  const found = byCandle([mark(121, "a"), mark(179, "b"), mark(260, "c"), mark(1000, "d")], candles);

  assert.deepEqual([...found].map(([time, marks]) => [time, marks.map((one) => one.text).join("")]), [[120, "ab"], [180, "c"], [300, "d"]]);
});

test("what is older than the candles is left out, and without candles everything is", () => {
  assert.equal(byCandle([mark(59), mark(60)], candles).size, 0);
  assert.equal(byCandle([mark(200)], []).size, 0);
});
