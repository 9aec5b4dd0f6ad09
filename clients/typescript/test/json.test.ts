import assert from "node:assert/strict";
import { test } from "node:test";

import { parseJson, writeJson } from "../src/index.js";

test("times in nanoseconds keep every digit", () => {
  assert.deepEqual(parseJson('{"ts_recv":1795277549689550563}'), { ts_recv: 1795277549689550563n });
});

test("a wide field is bigint whatever its size, and null stays null", () => {
  assert.deepEqual(parseJson('{"seq":7,"ts_event":null}'), { seq: 7n, ts_event: null });
});

test("any other integer is bigint only where a double would round it", () => {
  assert.deepEqual(parseJson("[9007199254740991,9007199254740993,-9007199254740993]"), [
    9007199254740991,
    9007199254740993n,
    -9007199254740993n,
  ]);
});

test("text of digits stays text, and a name within text is no field", () => {
  const text = '{"price":"60839.10000000","summary":"\\"ts_recv\\":1795277549689550563"}';

  assert.deepEqual(parseJson(text), JSON.parse(text));
});

test("whatever JSON.parse reads is read the same", () => {
  const values = [
    {}, [], "", "é\n\t\"\\\u2028", 0, -0.5, 1e21, 1.5e-7, true, false, null, [[[]], { a: { b: [1, "2", null] } }],
    { "": 1, "a b": { "\u0000": "\ud83d\ude00" } },
  ];
  for (const value of values) {
    const text = JSON.stringify(value);

    assert.deepEqual(parseJson(text), JSON.parse(text));
    assert.deepEqual(parseJson(JSON.stringify(value, null, 2)), JSON.parse(text));
  }
});

test("whatever JSON.parse refuses is refused", () => {
  for (const text of ["", "{", "[1,]", '{"a":1,}', "{a:1}", "01", "1.", "+1", "nul", '"', '"\n"', '"\\x"', "1 2", "[1", '{"a"}', "NaN", "'a'"]) {
    assert.throws(() => JSON.parse(text), SyntaxError, text);
    assert.throws(() => parseJson(text), SyntaxError, text);
  }
});

test("a name cannot change what an object is", () => {
  const found = parseJson('{"__proto__":{"admin":true}}') as { admin?: boolean };

  assert.equal(found.admin, undefined);
});

test("no depth of brackets breaks the stack", () => {
  assert.throws(() => parseJson("[".repeat(100_000)), /at most 500 levels/);
});

test("what is written is read back", () => {
  const value = { ts_recv: 1795277549689550563n, symbol: "BTCUSDT", list: [1, "2", null, true, { seq: 5n }] };

  assert.equal(writeJson({ ...value, gone: undefined }), writeJson(value));
  assert.deepEqual(parseJson(writeJson(value)), value);
});
