// Live events over `/ws`: one connection for all who listen, resumed after a break where the server still holds what was missed.

import { MarketDataError } from "./errors.js";
import { pauseMs } from "./http.js";
import { parseJson, writeJson } from "./json.js";
import type { BookL2, CandleEvent, Gap, Quote, Status, Trade } from "./schema.js";

export type ChannelType = "trade" | "quote" | "book" | "candle" | "status";

export interface Channel {
  type: ChannelType;
  /** A venue; left out: the first one that has the symbol, and every event names it. */
  provider?: string;
  symbol?: string;
  /** Of candles. */
  timeframe?: string;
  /** At most so many deliveries a second; trades, closed candles and gaps are all there, the rest is the newest. */
  max_hz?: number;
}

/** A gap as a stream says it: in a channel of candles with the channel's timeframe. */
export type StreamGap = Gap & { timeframe?: string };

/** An event with its position; `snapshot` is true on what was the newest when the subscription began. */
export type StreamEvent = (Trade | Quote | BookL2 | CandleEvent | StreamGap | Status) & { pos: number; snapshot?: boolean };

/** Positions that the stream cannot bring any more; what is stored can be asked for by REST. */
export interface Missed {
  after: number;
  first: number | null;
  reason: string;
}

export interface Listener {
  onEvent(event: StreamEvent): void;
  /** After a break that could not be bridged: ask for what is stored. A snapshot follows. */
  onMissed?(missed: Missed): void;
  /** The server does not know this channel; it is not asked for again. */
  onRefused?(error: MarketDataError): void;
}

/** `refused`: the token is missing or wrong; `setToken` tries again. */
export type StreamState = "idle" | "connecting" | "open" | "waiting" | "refused";

export interface StreamOptions {
  token?: string | undefined;
  /** For Node before 22, or tests. */
  WebSocket?: typeof WebSocket;
}

interface Standing {
  type: ChannelType;
  provider: string;
  symbol: string | null;
  timeframe: string | null;
  pos: number;
  resumed: boolean | null;
  missed: Missed | null;
}

interface Wanted {
  readonly channel: Channel;
  readonly listeners: Set<Listener>;
  /** As the server names it; known once it answered. */
  key: string | null;
  epoch: string | null;
  pos: number | null;
  newest: StreamEvent | null;
}

type Answer =
  | { op: "hello"; epoch: string; ping_s: number; auth: "ok" | "needed" }
  | { op: "subscribed"; id: number; epoch: string; channels: Standing[] }
  | { op: "unsubscribed" | "pong" | "authenticated"; id: number }
  | { op: "error"; id: number | null; error: string; field?: string | null; allowed?: unknown };

const BATCH = 200; // channels in one request
const SILENT_AFTER = 2.5; // times the server's ping interval
const REFUSED = 1008;

/** Connects while anybody listens. Never throws after construction: `onState` and listeners are told. */
export class LiveStream {
  state: StreamState = "idle";
  /** Why it is as it is, in words. */
  reason = "";
  private readonly wanted = new Map<string, Wanted>();
  private readonly byKey = new Map<string, Set<Wanted>>();
  private readonly asked = new Map<number, Wanted[]>();
  private readonly watchers = new Set<(state: StreamState, reason: string) => void>();
  private readonly fresh = new Set<Wanted>();
  private readonly WebSocket: typeof WebSocket | undefined;
  private token: string | undefined;
  private socket: WebSocket | null = null;
  private ready = false;
  private flushing = false;
  private attempt = 0;
  private lastId = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private pulse: ReturnType<typeof setInterval> | undefined;
  private heard = 0;

  constructor(
    private readonly url: string,
    options: StreamOptions = {},
  ) {
    this.token = options.token;
    this.WebSocket = options.WebSocket ?? globalThis.WebSocket;
    if (this.WebSocket === undefined) {
      const how = "Node 22, or --experimental-websocket, or the option WebSocket";
      throw new MarketDataError("bad-request", `there is no WebSocket here; expected ${how}`);
    }
  }

  /** Listen to a channel; the function that comes back ends it. */
  subscribe(channel: Channel, listener: Listener): () => void {
    const name = nameOf(channel);
    let one = this.wanted.get(name);
    if (one === undefined) {
      one = { channel, listeners: new Set(), key: null, epoch: null, pos: null, newest: null };
      this.wanted.set(name, one);
      this.fresh.add(one);
      this.flushSoon();
    } else if (one.newest !== null) {
      listener.onEvent({ ...one.newest, snapshot: true }); // who comes second has the newest at once too
    }
    one.listeners.add(listener);
    this.connect();
    const found = one;
    return () => {
      found.listeners.delete(listener);
      if (found.listeners.size === 0 && this.wanted.get(name) === found) this.drop(name, found);
    };
  }

  /** The state now, and whenever it changes, until the function that comes back is called. */
  onState(watcher: (state: StreamState, reason: string) => void): () => void {
    this.watchers.add(watcher);
    watcher(this.state, this.reason);
    return () => this.watchers.delete(watcher);
  }

  setToken(token: string | undefined): void {
    this.token = token;
    if (this.state === "refused") {
      this.state = "idle";
      this.connect();
    }
  }

  /** Try at once instead of waiting, as when the network is back. */
  retry(): void {
    if (this.state !== "waiting") return;
    clearTimeout(this.timer);
    this.attempt = 0;
    this.state = "idle";
    this.connect();
  }

  close(): void {
    this.wanted.clear();
    this.byKey.clear();
    this.fresh.clear();
    this.leave();
  }

  private connect(): void {
    if (this.state !== "idle" || this.wanted.size === 0 || this.WebSocket === undefined) return;
    this.say("connecting", "");
    const socket = new this.WebSocket(this.url);
    this.socket = socket;
    this.heard = Date.now();
    socket.onmessage = (message: MessageEvent) => {
      if (this.socket !== socket) return;
      this.heard = Date.now();
      this.read(String(message.data));
    };
    socket.onerror = () => undefined; // what follows is a close, with as many words as there are
    socket.onclose = (event: CloseEvent) => {
      if (this.socket === socket) this.lost(event.code, event.reason);
    };
  }

  private read(text: string): void {
    let message: unknown;
    try {
      message = parseJson(text);
    } catch {
      return; // readers are tolerant: one bad message is no reason to lose the stream
    }
    if (typeof message !== "object" || message === null) return;
    if ("type" in message) this.deliver(message as StreamEvent);
    else if ("op" in message) this.answer(message as Answer);
  }

  private answer(answer: Answer): void {
    switch (answer.op) {
      case "hello":
        this.watchPulse(answer.ping_s);
        if (answer.auth === "needed") {
          if (this.token === undefined) return this.refuse("a token is needed");
          this.send({ op: "auth", id: ++this.lastId, token: this.token });
        } else this.begin();
        break;
      case "authenticated":
        this.begin();
        break;
      case "subscribed":
        this.subscribed(answer.id, answer.epoch, answer.channels);
        break;
      case "error":
        this.mistaken(answer);
        break;
    }
  }

  private begin(): void {
    this.ready = true;
    this.attempt = 0;
    this.say("open", "");
    for (const one of this.wanted.values()) this.fresh.add(one);
    this.flush();
  }

  private flushSoon(): void {
    if (this.flushing) return;
    this.flushing = true;
    queueMicrotask(() => {
      this.flushing = false;
      this.flush();
    });
  }

  private flush(): void {
    if (!this.ready) return;
    const all = [...this.fresh];
    this.fresh.clear();
    for (let at = 0; at < all.length; at += BATCH) this.ask(all.slice(at, at + BATCH));
  }

  private ask(batch: Wanted[]): void {
    if (batch.length === 0) return;
    const id = ++this.lastId;
    this.asked.set(id, batch);
    this.send({ op: "subscribe", id, channels: batch.map(asking) });
  }

  private subscribed(id: number, epoch: string, channels: Standing[]): void {
    const batch = this.asked.get(id) ?? [];
    this.asked.delete(id);
    for (const [at, standing] of channels.entries()) {
      const one = batch[at];
      if (one === undefined || !this.wanted.has(nameOf(one.channel))) continue;
      if (one.key !== null) this.byKey.get(one.key)?.delete(one);
      one.key = keyOf(standing.type, standing.provider, standing.symbol, standing.timeframe);
      const known = this.byKey.get(one.key) ?? new Set();
      this.byKey.set(one.key, known.add(one));
      one.epoch = epoch;
      if (standing.resumed !== true) one.pos = standing.pos;
      if (standing.missed) for (const listener of one.listeners) listener.onMissed?.(standing.missed);
    }
  }

  private deliver(event: StreamEvent): void {
    for (const key of keysOf(event)) {
      for (const one of this.byKey.get(key) ?? []) {
        // The same channel may be asked for twice (with and without a venue): what one had already, it does not get again.
        const isOld = one.pos !== null && event.snapshot !== true && event.pos <= one.pos;
        if (isOld && (event.type === "gap" || one.newest !== null)) continue;
        if (event.type !== "gap") one.newest = event;
        one.pos = Math.max(one.pos ?? 0, event.pos);
        for (const listener of [...one.listeners]) listener.onEvent(event);
      }
    }
  }

  /** A request is done as a whole or not at all: without what was wrong it is asked again. */
  private mistaken(answer: { id: number | null; error: string; field?: string | null; allowed?: unknown }): void {
    const batch = answer.id === null ? undefined : this.asked.get(answer.id);
    if (answer.id === null || batch === undefined) return;
    this.asked.delete(answer.id);
    const at = Number(/^channels\[(\d+)\]/.exec(answer.field ?? "")?.[1] ?? NaN);
    const wrong = batch[at];
    const refused = wrong === undefined ? batch : [wrong];
    const error = new MarketDataError("bad-request", `/ws: ${answer.error}`, undefined, answer.field ?? undefined, answer.allowed);
    for (const one of refused) {
      this.wanted.delete(nameOf(one.channel));
      for (const listener of one.listeners) listener.onRefused?.(error);
    }
    if (wrong !== undefined) this.ask(batch.filter((one) => one !== wrong));
  }

  private drop(name: string, one: Wanted): void {
    this.wanted.delete(name);
    this.fresh.delete(one);
    if (one.key !== null) {
      const others = this.byKey.get(one.key);
      others?.delete(one);
      if (others?.size === 0) {
        this.byKey.delete(one.key);
        const { type, provider, symbol, timeframe } = one.channel;
        if (this.ready) this.send({ op: "unsubscribe", id: ++this.lastId, channels: [{ type, provider, symbol, timeframe }] });
      }
    }
    if (this.wanted.size === 0) this.leave();
  }

  private send(message: object): void {
    if (this.socket?.readyState === 1) this.socket.send(writeJson(message));
  }

  /** A connection that looks open and says nothing is none. */
  private watchPulse(pingS: number): void {
    clearInterval(this.pulse);
    this.pulse = setInterval(() => {
      if (Date.now() - this.heard > pingS * 1000 * SILENT_AFTER) {
        const socket = this.socket;
        this.lost(0, "nothing was heard any more");
        socket?.close();
      } else this.send({ op: "ping", id: ++this.lastId });
    }, pingS * 1000);
  }

  private lost(code: number, reason: string): void {
    this.forget();
    if (code === REFUSED && /token/.test(reason)) return this.refuse(reason);
    if (this.wanted.size === 0) return this.say("idle", "");
    this.attempt++;
    this.say("waiting", reason || (this.attempt > 1 ? "marketd is not reached" : "the connection broke"));
    this.timer = setTimeout(() => {
      this.state = "idle";
      this.connect();
    }, pauseMs(this.attempt));
  }

  private refuse(reason: string): void {
    const socket = this.socket;
    this.forget();
    socket?.close();
    this.say("refused", reason);
  }

  private leave(): void {
    const socket = this.socket;
    this.forget();
    clearTimeout(this.timer);
    end(socket);
    this.say("idle", "");
  }

  private forget(): void {
    this.socket = null;
    this.ready = false;
    this.asked.clear();
    this.byKey.clear();
    for (const one of this.wanted.values()) one.key = null;
    clearInterval(this.pulse);
  }

  private say(state: StreamState, reason: string): void {
    this.state = state;
    this.reason = reason;
    for (const watcher of [...this.watchers]) watcher(state, reason);
  }
}

/** One that is not open yet is closed as soon as it is: a browser calls it an error to be closed before. */
function end(socket: WebSocket | null): void {
  if (socket?.readyState === 0) socket.onopen = () => socket.close();
  else socket?.close();
}

/** What is sent of a channel: trades and candles go on where they were. */
function asking(one: Wanted): object {
  const resumes = one.channel.type === "trade" || one.channel.type === "candle";
  const from = resumes && one.epoch !== null && one.pos !== null ? { epoch: one.epoch, after: one.pos } : {};
  return { ...one.channel, ...from };
}

function nameOf(channel: Channel): string {
  const { type, provider = "", symbol = "", timeframe = "", max_hz = "" } = channel;
  return [type, provider.toLowerCase(), symbol.toUpperCase(), timeframe, max_hz].join("|");
}

function keyOf(type: string, provider: string, symbol: string | null, timeframe: string | null): string {
  return timeframe === null || timeframe === "" ? `${type}|${provider}|${symbol ?? ""}` : `${type}|${provider}|${symbol}|${timeframe}`;
}

/** The channels that an event belongs to. */
function keysOf(event: StreamEvent): string[] {
  switch (event.type) {
    case "book_l2":
      return [keyOf("book", event.provider, event.symbol, null)];
    case "candle":
      return [keyOf("candle", event.provider, event.symbol, event.timeframe)];
    case "gap":
      return [keyOf(event.channel, event.provider, event.symbol, event.timeframe ?? null)];
    case "status":
      return [keyOf("status", event.provider, event.symbol, null), keyOf("status", event.provider, null, null)];
    default:
      return [keyOf(event.type, event.provider, event.symbol, null)];
  }
}
