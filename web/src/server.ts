// The daemon this page came from: one client, one stream, and the token where one is needed.

import { LiveStream, MarketDataClient, MarketDataError } from "marketd-client";
import { askForToken } from "./parts/token";

const KEPT = "marketd.token";

export const client = new MarketDataClient({ attempts: 1, timeoutMs: 15_000, token: kept() ?? "" });
export const stream: LiveStream = client.stream({ token: kept() });
if (kept() === undefined) client.http.token = undefined;

function kept(): string | undefined {
  return sessionStorage.getItem(KEPT) ?? localStorage.getItem(KEPT) ?? undefined;
}

export function hasToken(): boolean {
  return client.http.token !== undefined;
}

/** From now on, in this tab; `remember`: also later, on this device. */
export function setToken(token: string, remember: boolean): void {
  sessionStorage.setItem(KEPT, token);
  if (remember) localStorage.setItem(KEPT, token);
  client.http.token = token;
  stream.setToken(token);
}

export function forgetToken(): void {
  sessionStorage.removeItem(KEPT);
  localStorage.removeItem(KEPT);
  client.http.token = undefined;
}

/** Does something that needs the token: asks for it once, and again only if it is refused. False: the person thought better. */
export async function act(what: string, work: () => Promise<unknown>): Promise<boolean> {
  for (let wrong = false; ; wrong = true) {
    if ((!hasToken() || wrong) && !(await askForToken(what, wrong))) return false;
    try {
      await work();
      return true;
    } catch (error) {
      if (!(error instanceof MarketDataError) || error.kind !== "not-allowed") throw error;
      forgetToken();
    }
  }
}

export function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
