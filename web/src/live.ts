// Live events for a view: over the stream, and where there is none (a process without events, an old proxy) by asking.

import type { CandleEvent, Channel, Quote, StreamEvent, Trade } from "marketd-client";
import { nsOfIso } from "marketd-client";
import { useEffect, useRef, useState } from "preact/hooks";
import { lookAgain, overview, watchOverview, type Known, type Overview } from "./overview";
import { client, stream } from "./server";

export type Mode = "connecting" | "live" | "asking" | "lost" | "refused";

export interface LiveState {
  mode: Mode;
  reason: string;
  /** Since when, ms. */
  since: number;
}

type Handler = (event: StreamEvent) => void;

interface Asked {
  channel: Channel;
  handler: Handler;
  onMissed: (() => void) | undefined;
  /** Ends it on the stream; undefined while it is not known whether there is one. */
  leave?: () => void;
}

const TRIES = 2; // failed connections after which we ask instead, if REST answers: a proxy may let no stream through
const ASK_MS = 2000;
const asked = new Set<Asked>();
const watchers = new Set<(state: LiveState) => void>();
let state: LiveState = { mode: "connecting", reason: "", since: Date.now() };
let everOpen = false;
let failures = 0;
let timer: ReturnType<typeof setTimeout> | undefined;

stream.onState((now, reason) => {
  if (now === "open") {
    everOpen = true;
    failures = 0;
    say("live", "");
    if (overview().error !== null) lookAgain();
  } else if (now === "refused") say("refused", reason);
  else if (now === "waiting") {
    failures++;
    if (!everOpen && failures >= TRIES) startAsking();
    else say("lost", reason);
  }
});
let wasHere = false;
watchOverview((now) => {
  const isHere = now.error === null && now.data?.parts.stream.state === "here";
  if (isHere && !wasHere) stream.retry(); // the daemon is back: the pause after failed tries is over
  wasHere = isHere;
  if (now.refused) noteRefused(now.error ?? "");
  else if (now.error !== null && state.mode !== "live") say("lost", now.error);
  else if (now.data !== null) for (const one of asked) begin(one, now);
});
window.addEventListener("online", () => stream.retry());
document.addEventListener("visibilitychange", () => !document.hidden && stream.retry());

/** An answer said that the token is needed, before there was anything to listen to. */
export function noteRefused(reason: string): void {
  if (state.mode !== "live") say("refused", reason);
}

function say(mode: Mode, reason: string): void {
  if (state.mode === mode && state.reason === reason) return;
  state = { mode, reason, since: state.mode === mode ? state.since : Date.now() };
  for (const watcher of [...watchers]) watcher(state);
}

function startAsking(): void {
  if (timer !== undefined) return;
  const round = async (): Promise<void> => {
    if (state.mode === "live") {
      timer = undefined;
      return;
    }
    const { data, error } = overview();
    if (error !== null) say("lost", error);
    else if (data !== null) {
      say("asking", "");
      await Promise.all([...asked].map((one) => answerFor(one.channel, data.parts).then((events) => events.forEach(one.handler), () => undefined)));
    }
    timer = setTimeout(() => void round(), ASK_MS);
  };
  timer = setTimeout(() => void round(), 0);
}

async function answerFor(channel: Channel, parts: Overview["parts"]): Promise<StreamEvent[]> {
  const { type, symbol, provider, timeframe } = channel;
  if (symbol === undefined) return [];
  if (type === "candle" && timeframe !== undefined) {
    if (parts.archive.state !== "here") return [];
    const found = await client.fetchCandles(symbol, timeframe, 2, { ...(provider ? { exchange: provider } : {}), include: ["closed"] });
    return found.map((one) => {
      const { exchange, open_time, close_time, closed, ...rest } = one;
      const times = { open_time: nsOfIso(open_time), close_time: nsOfIso(close_time), ts_event: null, ts_recv: 0n };
      return { ...rest, ...times, type: "candle", provider: exchange, closed: closed ?? false, revision: 0, repaired: false, pos: 0 } as CandleEvent & { pos: number };
    });
  }
  if ((type !== "trade" && type !== "quote") || parts.latest.state !== "here") return [];
  const found = await client.latest(symbol, provider);
  const event: Trade | Quote | null = type === "trade" ? found.trade : found.quote;
  return event === null ? [] : [{ ...event, pos: 0, snapshot: true }];
}

/** On the stream where there is one; a process without is asked. */
function begin(one: Asked, now: Known): void {
  if (one.leave !== undefined || now.data === null) return;
  if (now.data.parts.stream.state !== "here") return startAsking();
  one.leave = stream.subscribe(one.channel, { onEvent: one.handler, ...(one.onMissed ? { onMissed: one.onMissed } : {}) });
}

/** Listen until the function that comes back is called. */
export function listen(channel: Channel, handler: Handler, onMissed?: () => void): () => void {
  const one: Asked = { channel, handler, onMissed };
  asked.add(one);
  begin(one, overview());
  return () => {
    asked.delete(one);
    one.leave?.();
  };
}

/** The newest event of a channel; null channel: none. */
export function useLatest<T extends StreamEvent>(channel: Channel | null): T | null {
  const [event, setEvent] = useState<T | null>(null);
  useLive(channel, (next) => next.type !== "gap" && setEvent(next as T));
  return event;
}

/** Calls the handler with each event of a channel. */
export function useLive(channel: Channel | null, handler: Handler, onMissed?: () => void): void {
  const current = useRef(handler);
  current.current = handler;
  const missed = useRef(onMissed);
  missed.current = onMissed;
  const key = JSON.stringify(channel);
  useEffect(() => {
    if (channel === null) return;
    return listen(channel, (event) => current.current(event), () => missed.current?.());
  }, [key]);
}

export function useLiveState(): LiveState {
  const [known, setKnown] = useState(state);
  useEffect(() => {
    watchers.add(setKnown);
    setKnown(state);
    return () => void watchers.delete(setKnown);
  }, []);
  return known;
}
