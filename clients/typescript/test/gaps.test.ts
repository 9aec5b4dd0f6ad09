import assert from "node:assert/strict";
import { test } from "node:test";

import { LiveStream, type StreamEvent } from "../src/index.js";

/** A server's side by hand: what it is sent, and what it says. */
class Scripted {
  static last: Scripted;
  readonly sent: Record<string, unknown>[] = [];
  readonly readyState = 1;
  onmessage: (message: { data: string }) => void = () => undefined;
  onclose: (event: { code: number; reason: string }) => void = () => undefined;

  constructor(readonly url: string) {
    Scripted.last = this;
  }

  send(text: string): void {
    this.sent.push(JSON.parse(text) as Record<string, unknown>);
  }

  say(message: object): void {
    this.onmessage({ data: JSON.stringify(message) });
  }

  close(): void {
    return;
  }
}

const CANDLES = { type: "candle", provider: "binance", symbol: "BTCUSDT" } as const;

function gap(pos: number, timeframe: string): object {
  const missing = { channel: "candle", state: "found", from_id: null, to_id: null, from_ts: 60, to_ts: 120, cause: "mute" };
  return { type: "gap", provider: "binance", symbol: "BTCUSDT", ts_event: null, ts_recv: 200, ...missing, pos, timeframe };
}

/** A stream that listens to candles of two timeframes, its server, and what each heard. */
async function listening(): Promise<{ stream: LiveStream; server: Scripted; heard: Record<"1m" | "5m", StreamEvent[]> }> {
  const stream = new LiveStream("ws://nowhere/ws", { WebSocket: Scripted as unknown as typeof WebSocket });
  const heard = { "1m": [] as StreamEvent[], "5m": [] as StreamEvent[] };
  for (const timeframe of ["1m", "5m"] as const) stream.subscribe({ ...CANDLES, timeframe }, { onEvent: (event) => heard[timeframe].push(event) });
  await Promise.resolve();
  const server = Scripted.last;
  greet(server);
  return { stream, server, heard };
}

function greet(server: Scripted): void {
  server.say({ op: "hello", epoch: "e1", ping_s: 60, auth: "ok" });
  const asked = server.sent.at(-1) as { id: number; channels: object[] };
  const standing = asked.channels.map((one) => ({ ...CANDLES, pos: 4, resumed: null, missed: null, ...one }));
  server.say({ op: "subscribed", id: asked.id, epoch: "e1", channels: standing });
}

test("a gap of candles concerns the timeframe that it names, and no other", async () => {
  const { stream, server, heard } = await listening();
  server.say(gap(5, "1m"));
  stream.close();

  assert.deepEqual(heard["5m"], []);
  assert.deepEqual(heard["1m"].map((one) => one.type === "gap" && one.timeframe), ["1m"]);
});

test("a gap that was heard is behind: it is not asked for again after a break, nor told twice", async () => {
  const { stream, server, heard } = await listening();
  server.say(gap(5, "1m"));
  server.say(gap(5, "1m"));
  server.onclose({ code: 1006, reason: "" });
  stream.retry();
  Scripted.last.say({ op: "hello", epoch: "e1", ping_s: 60, auth: "ok" });
  const asked = Scripted.last.sent.at(-1) as { channels: { timeframe: string; after: number }[] };
  stream.close();

  assert.equal(heard["1m"].length, 1);
  assert.deepEqual(asked.channels.map((one) => [one.timeframe, one.after]), [["1m", 5], ["5m", 4]]);
});
