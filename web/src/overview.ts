// What runs in the process this page came from: asked once for all views, so that nothing is asked that is not there.

import { MarketDataError, type Answers } from "marketd-client";
import { useEffect, useState } from "preact/hooks";
import { client, wordsOf } from "./server";

export type Overview = Answers["GET /overview"];
export type Part = keyof Overview["parts"];
/** `unknown`: before the first answer; `gone`: the process itself does not answer. */
export type PartState = Overview["parts"][Part]["state"] | "unknown" | "gone";

export interface Known {
  /** The last answer; it stays while later ones fail. */
  data: Overview | null;
  /** Why the newest try failed. */
  error: string | null;
  /** The token is needed. */
  refused: boolean;
  /** Since when it is as it is, ms. */
  since: number;
}

const EVERY_MS = 2000;
const FIRST_RETRY_MS = 1000;
const watchers = new Set<(known: Known) => void>();
let known: Known = { data: null, error: null, refused: false, since: Date.now() };
let timer: ReturnType<typeof setTimeout> | undefined;
let asking = false;

export function overview(): Known {
  return known;
}

/** Told now and after each try, until the function that comes back is called. */
export function watchOverview(watcher: (known: Known) => void): () => void {
  watchers.add(watcher);
  watcher(known);
  return () => void watchers.delete(watcher);
}

/** Ask at once instead of waiting, as when the connection is back. */
export function lookAgain(): void {
  if (asking) return;
  clearTimeout(timer);
  void look();
}

async function look(): Promise<void> {
  asking = true;
  let wait = EVERY_MS;
  try {
    const data = await client.get("/overview", {});
    known = { data, error: null, refused: false, since: known.error === null && known.data !== null ? known.since : Date.now() };
  } catch (error) {
    const refused = error instanceof MarketDataError && error.status === 401;
    known = { ...known, error: wordsOf(error), refused, since: known.error === null ? Date.now() : known.since };
    wait = refused ? 10 * EVERY_MS : FIRST_RETRY_MS;
  }
  asking = false;
  for (const watcher of [...watchers]) watcher(known);
  timer = setTimeout(() => (document.hidden ? document.addEventListener("visibilitychange", lookAgain, { once: true }) : void look()), wait);
}

void look();

export function useOverview(): Known {
  const [seen, setSeen] = useState(known);
  useEffect(() => watchOverview(setSeen), []);
  return seen;
}

/** The best state of these parts, and why where it is away. */
export function partState(now: Known, parts: readonly Part[]): { state: PartState; reason: string } {
  if (now.error !== null) return { state: "gone", reason: now.error };
  if (now.data === null) return { state: "unknown", reason: "" };
  if (parts.length === 0) return { state: "here", reason: "" };
  const found = parts.map((one) => now.data!.parts[one]);
  return found.find((one) => one.state === "here") ?? found.find((one) => one.state === "away") ?? { state: "absent", reason: "" };
}

/** Follows only what matters: a change of the state of these parts. */
export function usePart(parts: readonly Part[]): { state: PartState; reason: string } {
  const [seen, setSeen] = useState(() => partState(known, parts));
  const key = parts.join(" ");
  useEffect(
    () =>
      watchOverview((now) => {
        const next = partState(now, parts);
        setSeen((before) => (before.state === next.state && before.reason === next.reason ? before : next));
      }),
    [key],
  );
  return seen;
}
