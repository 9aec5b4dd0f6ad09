import assert from "node:assert/strict";
import { test } from "node:test";

import { isoOfNs, nsOfIso } from "../src/index.js";

test("nanoseconds survive as ISO 8601 and back", () => {
  for (const ns of [0n, 1n, -1n, 999_999_999n, 1_795_277_549_689_550_563n, 9_223_372_036_854_775_807n]) {
    assert.equal(nsOfIso(isoOfNs(ns)), ns);
  }
});

test("the API's own times are read, with a zone and without", () => {
  const expected = 1_731_605_400_000_000_000n;

  assert.equal(nsOfIso("2024-11-14T17:30:00+00:00"), expected);
  assert.equal(nsOfIso("2024-11-14 17:30:00"), expected);
  assert.equal(nsOfIso("2024-11-14T18:30:00.000000001+01:00"), expected + 1n);
  assert.equal(nsOfIso("2024-11-14"), expected - 63_000_000_000_000n);
});

test("what is no time is said so", () => {
  for (const text of ["", "yesterday", "2024-13-01", "1700000000"]) assert.throws(() => nsOfIso(text), RangeError);
});
