// What can go wrong, in one class with a kind.

/**
 * - `bad-request`, `not-found`: a parameter does not fit, or nothing of the kind is there; `parameter` and `allowed` say more
 * - `not-allowed`: the token is missing or wrong
 * - `unreachable`, `try-later`: no connection, or 429 or 503, still after every attempt
 * - `server-failed`, `bad-answer`: a mistake of the server, or another program at that address
 * - `aborted`: by the caller's own signal
 */
export type ErrorKind =
  | "bad-request"
  | "not-found"
  | "not-allowed"
  | "unreachable"
  | "try-later"
  | "server-failed"
  | "bad-answer"
  | "aborted";

export class MarketDataError extends Error {
  override readonly name = "MarketDataError";

  constructor(
    readonly kind: ErrorKind,
    message: string,
    /** The HTTP status, where one came. */
    readonly status?: number,
    /** Which parameter does not fit. */
    readonly parameter?: string,
    /** What it may be. */
    readonly allowed?: unknown,
  ) {
    super(message);
  }
}

export function kindOf(status: number): ErrorKind {
  if (status === 401 || status === 403) return "not-allowed";
  if (status === 404) return "not-found";
  if (status === 429 || status === 503) return "try-later";
  return status < 500 ? "bad-request" : "server-failed";
}
