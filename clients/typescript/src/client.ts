// The client: each path of the API as a method, typed by the API's own schema.

import { follow } from "./events.js";
import { Http, type Asked, type Options } from "./http.js";
import { parseJson } from "./json.js";
import type { Answers, Changed, HealthAnswer, LatestAnswer, Queries, StatusAnswer, Trade } from "./schema.js";
import { LiveStream, type StreamOptions } from "./stream.js";
import { timeText, type Time } from "./times.js";

type Digits = "open" | "high" | "low" | "close" | "volume";
type Stored = Answers["GET /candles"][number];

/** A stored candle. Times are ISO 8601; numbers are text with exactly the venue's digits. */
export type Candle = { [K in keyof Stored]: K extends Digits ? string : Stored[K] };
export type GapRow = Answers["GET /gaps"][number];
export type Features = Answers["GET /features/latest"];
export type Ranking = Answers["GET /scanner"];
export type Reading = Answers["GET /analysis"];
export type Logged = Answers["GET /api/redis/log"][number];
export type Include = "closed" | "revision" | "source";

/** Operations that read. */
export type Readable = Extract<keyof Answers, `GET ${string}`>;
/** Of them, those that list in pages. */
export type Listing = "GET /trades" | "GET /api/redis/log" | "GET /paper/orders" | "GET /paper/fills" | "GET /paper/equity";
type PathOf<K extends string> = K extends `GET ${infer P}` ? P : never;

export interface Page<T> {
  rows: T[];
  /** For the next page; null after the last one. */
  cursor: string | null;
}

export interface Range {
  start?: Time;
  end?: Time;
  signal?: AbortSignal;
}

export interface CandleRange extends Range {
  /** More keys of each candle. */
  include?: readonly Include[];
  /** How many are asked for at once; default 5000. */
  page?: number;
}

export interface LogQuery {
  type?: NonNullable<Queries["GET /api/redis/log"]["type"]>;
  source?: NonNullable<Queries["GET /api/redis/log"]["source"]>;
  channel?: string;
  since?: Time;
}

const PAGE = 5000;

/** Asks one marketd. Every method throws MarketDataError; what may pass is tried again before. */
export class MarketDataClient {
  readonly http: Http;

  constructor(options: Options = {}) {
    this.http = new Http(options);
  }

  /** The newest candles, oldest first, the forming one included; of the first venue that has them unless one is named. */
  async fetchCandles(
    symbol: string,
    timeframe: string,
    limit = 100,
    more: { exchange?: string; include?: readonly Include[]; signal?: AbortSignal } = {},
  ): Promise<Candle[]> {
    const query = { symbol, timeframe, limit, exchange: more.exchange, include: listed(more.include), numbers: "string" };
    return (await this.ask("/candles/latest", { query, signal: more.signal })) as Candle[];
  }

  /** All candles with `start <= open_time < end`, oldest first. */
  async getCandles(exchange: string, symbol: string, timeframe: string, range: CandleRange = {}): Promise<Candle[]> {
    const found: Candle[] = [];
    for await (const candle of this.iterCandles(exchange, symbol, timeframe, range)) found.push(candle);
    return found;
  }

  /** The same one by one, with one page in memory however long the range is. */
  async *iterCandles(exchange: string, symbol: string, timeframe: string, range: CandleRange = {}): AsyncGenerator<Candle> {
    const query = { exchange, symbol, timeframe, ...span(range), include: listed(range.include), numbers: "string" };
    const limit = range.page ?? PAGE;
    let cursor: string | null = null;
    do {
      const page: Page<Candle> = await this.page("/candles", { ...query, limit, cursor }, range.signal);
      yield* page.rows;
      cursor = page.cursor;
    } while (cursor !== null);
  }

  /** Stored trades, oldest first, one by one. */
  async *iterTrades(symbol: string, range: Range & { provider?: string; page?: number } = {}): AsyncGenerator<Trade> {
    let cursor: string | null = null;
    do {
      const query = { symbol, provider: range.provider, ...span(range), limit: range.page ?? PAGE, cursor };
      const page: Page<Trade> = await this.page("/trades", query, range.signal);
      yield* page.rows;
      cursor = page.cursor;
    } while (cursor !== null);
  }

  /** One page of what a path lists, newest or oldest first as the path says. */
  async list<P extends PathOf<Listing>>(
    path: P,
    query: Queries[`GET ${P}`],
    signal?: AbortSignal,
  ): Promise<Page<Answers[`GET ${P}`][number]>> {
    return this.page(path, query, signal);
  }

  /** The newest trade and quote. */
  latest(symbol: string, provider?: string): Promise<LatestAnswer> {
    return this.get("/latest", { symbol, ...(provider === undefined ? {} : { provider }) });
  }

  /** What is missing, cannot be had, or was and is repaired. */
  gaps(query: Queries["GET /gaps"] = {}): Promise<GapRow[]> {
    return this.get("/gaps", query);
  }

  /** With `exchange` what that venue lists; without, what is collected from each. */
  symbols(exchange?: string): Promise<Record<string, string[]>> {
    return this.get("/symbols", exchange === undefined ? {} : { exchange });
  }

  status(): Promise<StatusAnswer> {
    return this.get("/status", {});
  }

  /** Also where the answer is that it is unhealthy. */
  async health(): Promise<HealthAnswer> {
    return (await this.ask("/health", { fine: [503] })) as unknown as HealthAnswer;
  }

  features(symbol: string): Promise<Features> {
    return this.get("/features/latest", { symbol });
  }

  scanner(query: Queries["GET /scanner"] = {}): Promise<Ranking> {
    return this.get("/scanner", query);
  }

  analysis(symbol: string, timeframe: string): Promise<Reading> {
    return this.get("/analysis", { symbol, timeframe });
  }

  /** Entries of the message log, newest first. */
  messageLog(query: LogQuery & { limit?: number; cursor?: string } = {}, signal?: AbortSignal): Promise<Page<Logged>> {
    return this.page("/api/redis/log", { ...query, since: known(query.since) }, signal);
  }

  /** Entries as they are logged, from now on or after `lastId`; `gone` says that some are lost. Ends with its signal. */
  async *followMessageLog(
    query: LogQuery & { lastId?: string; signal?: AbortSignal } = {},
  ): AsyncGenerator<{ entry: Logged } | { gone: string }> {
    const { lastId, signal, since, ...wanted } = query;
    const asked: Asked = { query: { ...wanted, since: known(since) }, signal };
    for await (const one of follow(this.http, "/api/redis/log/live", asked, lastId)) {
      if (one.event === "message") yield { entry: parseJson(one.data) as unknown as Logged };
      else if (one.event === "gone") yield { gone: one.data };
    }
  }

  /** Collect exactly these symbols from now on; needs the token. */
  async setSubscriptions(symbols: readonly string[], provider?: string): Promise<Changed> {
    const body = { symbols, ...(provider === undefined ? {} : { provider }) };
    return (await this.ask("/subscriptions", { method: "PUT", body })) as unknown as Changed;
  }

  /** What a series lacks is asked of its venue at once; needs the token. */
  async repair(exchange: string, symbol: string, timeframe: string): Promise<void> {
    await this.ask("/repair", { method: "POST", body: { exchange, symbol, timeframe } });
  }

  /** Live events, over one connection for all who listen to the stream that comes back. */
  stream(options: StreamOptions = {}): LiveStream {
    return new LiveStream(`${this.http.base.replace(/^http/, "ws")}/ws`, { token: this.http.token, ...options });
  }

  /** Any path that reads, with its own parameters and answer. */
  async get<P extends PathOf<Readable>>(
    path: P,
    query: Queries[`GET ${P}`],
    signal?: AbortSignal,
  ): Promise<Answers[`GET ${P}`]> {
    return (await this.ask(path, { query, signal })) as Answers[`GET ${P}`];
  }

  private async ask(path: string, asked: Asked): Promise<unknown> {
    return (await this.http.ask(path, asked)).body;
  }

  private async page<T>(path: string, query: object, signal?: AbortSignal): Promise<Page<T>> {
    const { body, headers } = await this.http.ask(path, { query, signal });
    return { rows: body as T[], cursor: headers.get("x-next-cursor") };
  }
}

/** The newest candles of a symbol, oldest first, from the marketd of this page or of this machine. */
export function fetchCandles(symbol: string, timeframe: string, limit = 100, options: Options = {}): Promise<Candle[]> {
  return new MarketDataClient(options).fetchCandles(symbol, timeframe, limit);
}

function listed(include: readonly Include[] | undefined): string | undefined {
  return include === undefined || include.length === 0 ? undefined : include.join(",");
}

function span(range: Range): { start: string | undefined; end: string | undefined } {
  return { start: known(range.start), end: known(range.end) };
}

function known(time: Time | undefined): string | undefined {
  return time === undefined ? undefined : timeText(time);
}
