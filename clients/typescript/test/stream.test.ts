import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { LiveStream, MarketDataClient, type Missed, type StreamEvent, type StreamState } from "../src/index.js";
import { eventually, startDaemon, type Daemon } from "./daemon.js";
import { Line } from "./line.js";

const TRADES = { type: "trade", provider: "binance", symbol: "BTCUSDT" } as const;
let daemon: Daemon;
let line: Line;
let stream: LiveStream;
let states: StreamState[];

before(async () => {
  daemon = await startDaemon();
  line = new Line();
  line.target = Number(new URL(daemon.url).port);
  stream = new MarketDataClient({ baseUrl: await line.open() }).stream();
  states = [];
  stream.onState((state) => states.push(state));
});

after(async () => {
  stream.close();
  line.close();
  await daemon.stop();
});

test("a subscription begins with the newest and goes on live", async () => {
  const found: StreamEvent[] = [];
  const leave = stream.subscribe({ type: "quote", provider: "binance", symbol: "ETHUSDT" }, { onEvent: (event) => found.push(event) });
  await eventually(async () => found.length, (count) => count > 3);
  leave();
  const count = found.length;
  await eventually(async () => states, () => stream.state === "idle");

  assert.deepEqual(states.slice(0, 3), ["idle", "connecting", "open"]);
  assert.ok(found.every((one) => one.type === "quote" && one.symbol === "ETHUSDT" && typeof one.ts_recv === "bigint"));
  assert.ok(found.slice(1).every((one) => one.snapshot !== true));
  assert.equal(found.length, count);
});

test("without a venue the first one that has the symbol answers, and says who it is", async () => {
  const found: StreamEvent[] = [];
  const leave = stream.subscribe({ type: "book", symbol: "BTCUSDT", max_hz: 5 }, { onEvent: (event) => found.push(event) });
  const [book] = await eventually(async () => found, (all) => all.length > 0);
  leave();

  assert.ok(book?.type === "book_l2" && book.provider === "binance" && book.bids.length > 0);
});

test("what is refused is said of its channel, and the others go on", async () => {
  const words: string[] = [];
  const found: StreamEvent[] = [];
  const leaves = [
    stream.subscribe({ type: "trade", provider: "binance", symbol: "NOPE" }, { onEvent: () => undefined, onRefused: (error) => words.push(`${error.parameter} ${error.message}`) }),
    stream.subscribe(TRADES, { onEvent: (event) => found.push(event) }),
  ];
  await eventually(async () => found.length, (count) => count > 1);
  for (const leave of leaves) leave();

  assert.equal(words.length, 1);
  assert.match(words[0]!, /^channels\[0\]\.symbol .*NOPE/);
});

test("after a break every trade is there, once and in order", async () => {
  const found: StreamEvent[] = [];
  const missed: Missed[] = [];
  const leave = stream.subscribe(TRADES, { onEvent: (event) => found.push(event), onMissed: (one) => missed.push(one) });
  for (let breaks = 1; breaks <= 3; breaks++) {
    const before = found.length;
    await eventually(async () => found.length, (count) => count > before + 5);
    line.cut();
  }
  const before = found.length;
  await eventually(async () => found.length, (count) => count > before + 10);
  leave();
  const positions = found.filter((one) => one.snapshot !== true).map((one) => one.pos);

  assert.deepEqual(missed, []);
  assert.ok(states.includes("waiting"));
  assert.deepEqual(positions, positions.map((_, at) => positions[0]! + at));
});

test("who listens second has the newest at once, and leaving ends only one's own", async () => {
  const first: StreamEvent[] = [];
  const second: StreamEvent[] = [];
  const leaveFirst = stream.subscribe(TRADES, { onEvent: (event) => first.push(event) });
  await eventually(async () => first.length, (count) => count > 0);
  const leaveSecond = stream.subscribe(TRADES, { onEvent: (event) => second.push(event) });
  const atOnce = second.length;
  leaveFirst();
  const count = first.length;
  await eventually(async () => second.length, (found) => found > 3);
  leaveSecond();

  assert.deepEqual([atOnce, second[0]?.snapshot, first.length], [1, true, count]);
});

test("another run of the server cannot resume: what is missed is said", async () => {
  const missed: Missed[] = [];
  const found: StreamEvent[] = [];
  const leave = stream.subscribe(TRADES, { onEvent: (event) => found.push(event), onMissed: (one) => missed.push(one) });
  await eventually(async () => found.length, (count) => count > 2);
  const other = await startDaemon();
  line.target = Number(new URL(other.url).port);
  line.cut();
  await eventually(async () => missed.length, (count) => count > 0);
  const before = found.length;
  await eventually(async () => found.length, (count) => count > before + 2);
  leave();
  line.cut();
  await other.stop();

  assert.equal(missed.length, 1);
  assert.equal(missed[0]?.first, null);
});

test("a connection that nobody wants any more before it is open is closed when it is", async () => {
  const done: string[] = [];
  class Slow extends EventTarget {
    readyState = 0;
    onopen: (() => void) | null = null;
    close(): void {
      done.push(this.readyState === 0 ? "closed too early" : "closed");
    }
    open(): void {
      this.readyState = 1;
      this.onopen?.();
    }
  }
  const made: Slow[] = [];
  const Fake = class extends Slow {
    constructor() {
      super();
      made.push(this);
    }
  };
  const own = new MarketDataClient({ baseUrl: daemon.url }).stream({ WebSocket: Fake as unknown as typeof WebSocket });
  own.subscribe(TRADES, { onEvent: () => undefined })();
  const before = [...done];
  made[0]?.open();

  assert.deepEqual([before, done, own.state], [[], ["closed"], "idle"]);
});
