// Requests: tried again where that may help, given up in words.

import { kindOf, MarketDataError } from "./errors.js";
import { parseJson, writeJson, type Json } from "./json.js";

export interface Options {
  /** Where marketd is; default the page's own origin in a browser, else http://localhost:8100. */
  baseUrl?: string;
  /** Needed where the server has one set, and for what changes something. */
  token?: string;
  /** How often a request is tried that may work later; default 5. */
  attempts?: number;
  /** How long one attempt may take until its answer begins; default 30,000 ms. */
  timeoutMs?: number;
  /** For tests, or a fetch with its own proxy. */
  fetch?: typeof fetch;
}

export interface Asked {
  method?: "GET" | "PUT" | "POST" | "DELETE";
  query?: object;
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
  /** Statuses beside 200 whose body is an answer and no error. */
  fine?: readonly number[];
}

const FIRST_PAUSE_MS = 250;
const PAUSE_MAX_MS = 8000;

export class Http {
  readonly base: string;
  /** May be set later, as soon as someone gives it. */
  token: string | undefined;
  private readonly attempts: number;
  private readonly timeoutMs: number;
  private readonly fetch: typeof fetch;

  constructor(options: Options = {}) {
    this.base = (options.baseUrl ?? here()).replace(/\/+$/, "");
    if (!/^https?:\/\/[^/]/.test(this.base)) {
      throw new MarketDataError("bad-request", `baseUrl ${JSON.stringify(this.base)}: expected http://... or https://...`);
    }
    this.token = options.token;
    this.attempts = Math.max(1, options.attempts ?? 5);
    this.timeoutMs = options.timeoutMs ?? 30_000;
    this.fetch = options.fetch ?? fetch.bind(globalThis);
  }

  /** The answer's JSON, without loss, and its headers. Throws MarketDataError. */
  async ask(path: string, asked: Asked = {}): Promise<{ body: Json; headers: Headers }> {
    const response = await this.open(path, asked);
    try {
      return { body: parseJson(await response.text()), headers: response.headers };
    } catch (error) {
      if (asked.signal?.aborted) throw aborted();
      if (error instanceof SyntaxError) throw new MarketDataError("bad-answer", `${path}: ${error.message}`, response.status);
      throw new MarketDataError("unreachable", `${path}: the answer broke off (${words(error)})`, response.status);
    }
  }

  /** A response that is well; its body is not read yet. Throws MarketDataError. */
  async open(path: string, asked: Asked = {}): Promise<Response> {
    for (let attempt = 1; ; attempt++) {
      const found = await this.once(path, asked);
      if (!(found instanceof MarketDataError)) return found;
      const passes = found.kind === "unreachable" || found.kind === "try-later";
      const repeatable = (asked.method ?? "GET") === "GET" || found.kind === "try-later";
      if (!passes || !repeatable || attempt >= this.attempts) throw found;
      await pause(Math.max(retryAfterMs(found), pauseMs(attempt)), asked.signal);
    }
  }

  private async once(path: string, asked: Asked): Promise<Response | MarketDataError> {
    const url = this.base + path + queryText(asked.query);
    const started = new AbortController();
    const late = setTimeout(() => started.abort(), this.timeoutMs);
    const stop = (): void => started.abort();
    asked.signal?.addEventListener("abort", stop);
    try {
      if (asked.signal?.aborted) throw aborted();
      const response = await this.fetch(url, {
        method: asked.method ?? "GET",
        headers: this.headers(asked),
        signal: started.signal,
        ...(asked.body === undefined ? {} : { body: writeJson(asked.body) }),
      });
      if (response.ok || asked.fine?.includes(response.status)) return response;
      return await refusal(path, response);
    } catch (error) {
      asked.signal?.removeEventListener("abort", stop);
      if (asked.signal?.aborted) throw aborted();
      const why = started.signal.aborted ? `no answer within ${this.timeoutMs} ms` : words(error);
      return new MarketDataError("unreachable", `${this.base} is not reached: ${why}`);
    } finally {
      clearTimeout(late); // the caller's signal goes on to end the body
    }
  }

  private headers(asked: Asked): Record<string, string> {
    return {
      ...(this.token === undefined ? {} : { Authorization: `Bearer ${this.token}` }),
      ...(asked.body === undefined ? {} : { "Content-Type": "application/json" }),
      ...asked.headers,
    };
  }
}

const delays = new WeakMap<MarketDataError, number>();

async function refusal(path: string, response: Response): Promise<MarketDataError> {
  let said: { [name: string]: Json } = {};
  try {
    const body = parseJson(await response.text());
    if (typeof body === "object" && body !== null && !Array.isArray(body)) said = body;
  } catch {
    // No JSON of ours: the status has to say it.
  }
  const message = typeof said.error === "string" ? said.error : `status ${response.status}`;
  const parameter = typeof said.parameter === "string" ? said.parameter : undefined;
  const error = new MarketDataError(kindOf(response.status), `${path}: ${message}`, response.status, parameter, said.allowed);
  const after = Number(response.headers.get("retry-after"));
  if (after > 0) delays.set(error, after * 1000);
  return error;
}

function retryAfterMs(error: MarketDataError): number {
  return delays.get(error) ?? 0;
}

/** Growing, with a spread that keeps many clients from coming back at once. */
export function pauseMs(attempt: number): number {
  return Math.min(PAUSE_MAX_MS, FIRST_PAUSE_MS * 2 ** (attempt - 1)) * (0.5 + Math.random() / 2);
}

/** Throws MarketDataError `aborted` as soon as the signal says so. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(aborted());
    const stop = (): void => {
      clearTimeout(timer);
      reject(aborted());
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}

export function aborted(): MarketDataError {
  return new MarketDataError("aborted", "stopped by its signal");
}

export function queryText(query: object | undefined): string {
  const given = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== undefined && value !== null) given.set(name, String(value));
  }
  const text = given.toString();
  return text === "" ? "" : `?${text}`;
}

function words(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message || error.message : error.message;
}

function here(): string {
  const origin = (globalThis as { location?: { origin?: string } }).location?.origin;
  return origin !== undefined && origin.startsWith("http") ? origin : "http://localhost:8100";
}
