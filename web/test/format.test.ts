import assert from "node:assert/strict";
import { test } from "node:test";

import { ago, clock, count, figure, fixed, moment, ms, percent, price, size, stepMs } from "../src/format.js";

test("a price keeps the venue's digits, only the zeros behind them go", () => {
  assert.equal(price("60871.90"), "60,871.90");
  assert.equal(price("0.000012345600"), "0.0000123456");
  assert.equal(price("123456789012345678901234567890.123456789"), "123,456,789,012,345,678,901,234,567,890.123456789");
  assert.equal(price("100"), "100.00");
  assert.equal(price("-5.310"), "-5.31");
  assert.equal(price("0"), "0");
  assert.equal(price(null), "–");
});

test("a size keeps its digits until it is too long to be read", () => {
  assert.equal(size("0.00150000"), "0.0015");
  assert.equal(size("1.000"), "1");
  assert.equal(size("100"), "100");
  assert.equal(size("1234567.5"), "1.23M");
  assert.equal(size(undefined), "–");
});

test("a time of nanoseconds is shown by its second, also beyond what a double holds", () => {
  assert.equal(clock(1_795_290_459_524_138_426n), "19:47:39");
  assert.equal(clock(1_795_290_459_999_999_999n), "19:47:39");
  assert.equal(clock(Date.UTC(2026, 10, 21, 0, 0, 5)), "00:00:05");
  assert.equal(moment("2026-11-21T19:00:00+00:00"), "21 Nov 19:00");
});

test("lengths of time have one or two units", () => {
  assert.equal(ms(0.71), "0.7 ms");
  assert.equal(ms(171.4), "171 ms");
  assert.equal(ms(5800), "5.8 s");
  assert.equal(ms(120_000), "2 min");
  assert.equal(ms(null), "–");
  assert.equal(ago(3_660_000), "1 h 1 min");
  assert.equal(ago(90_000_000), "1 d 1 h");
  assert.equal(ago(-5), "0 s");
});

test("figures are short, with a sign where it means something", () => {
  assert.equal(percent(1.005), "+1.00 %");
  assert.equal(percent(-0.5), "-0.50 %");
  assert.equal(percent(null), "–");
  assert.equal(percent(NaN), "–");
  assert.equal(figure(0), "0");
  assert.equal(figure(1234.56789), "1,234.57");
  assert.equal(figure(0.00001234), "1.23e-5");
  assert.equal(fixed(60776.3, 2), "60,776.30");
  assert.equal(fixed(-0.5, 0), "-1");
  assert.equal(count(1234567), "1,234,567");
});

test("a timeframe is as long as it says", () => {
  assert.deepEqual(["1s", "5m", "4h", "1d", "1w", "1M"].map(stepMs), [1e3, 3e5, 144e5, 864e5, 6048e5, 2592e6]);
});
