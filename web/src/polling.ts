// What is asked again and again: the newest answer, whether it is old, and what went wrong.

import { MarketDataError } from "marketd-client";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { noteRefused } from "./live";
import { usePart, type Part } from "./overview";
import { wordsOf } from "./server";

export interface Polled<T> {
  /** The last answer that was well; it stays while later ones fail. */
  data: T | null;
  /** Why the newest try failed. */
  error: string | null;
  /** The part does not run in this process. */
  absent: boolean;
  /** When `data` came, ms; 0 before. */
  at: number;
  reload: () => void;
}

/**
 * Asks at once and `everyMs` after each answer, while the page is seen; anew when `deps` change. Of `parts` one has to be there:
 * what does not run here, or is away now, is not asked.
 */
export function usePolled<T>(ask: (signal: AbortSignal) => Promise<T>, everyMs: number, deps: readonly unknown[], parts: readonly Part[] = []): Polled<T> {
  const [state, setState] = useState<Omit<Polled<T>, "reload">>({ data: null, error: null, absent: false, at: 0 });
  const [round, setRound] = useState(0);
  const asking = useRef(ask);
  asking.current = ask;
  const key = JSON.stringify(deps);
  const lastKey = useRef(key);
  const part = usePart(parts);

  useEffect(() => {
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let failures = 0;
    if (lastKey.current !== key) {
      lastKey.current = key;
      setState({ data: null, error: null, absent: false, at: 0 });
    }
    if (part.state !== "here") {
      const absent = part.state === "absent";
      setState((known) => ({ ...known, error: part.state === "unknown" ? null : absent ? "it does not run here" : part.reason, absent }));
      return;
    }
    const look = async (): Promise<void> => {
      let wait = everyMs;
      try {
        const data = await asking.current(stop.signal);
        if (stop.signal.aborted) return;
        failures = 0;
        setState({ data, error: null, absent: false, at: Date.now() });
      } catch (error) {
        if (stop.signal.aborted) return;
        if (error instanceof MarketDataError && error.status === 401) noteRefused(error.message);
        const absent = error instanceof MarketDataError && error.kind === "not-found" && /does not run here/.test(error.message);
        setState((known) => ({ ...known, error: wordsOf(error), absent }));
        wait = absent ? Math.max(everyMs, 30_000) : Math.min(30_000, 1000 * 2 ** failures++);
      }
      timer = setTimeout(() => (document.hidden ? wake() : void look()), wait);
    };
    const seen = (): void => {
      document.removeEventListener("visibilitychange", seen);
      if (!stop.signal.aborted) void look();
    };
    const wake = (): void => document.addEventListener("visibilitychange", seen);
    void look();
    return () => {
      stop.abort();
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", seen);
    };
  }, [key, everyMs, round, part.state]);

  const reload = useCallback(() => setRound((known) => known + 1), []);
  return { ...state, reload };
}

const SOON_MS = 500;
const HURRY_MS = 10_000;

/** How often to ask: `everyMs`, and often for ten seconds after `hurry` was called, as when something was set going. */
export function usePace(everyMs: number): { paceMs: number; hurry: () => void } {
  const [called, setCalled] = useState(0);
  useEffect(() => {
    if (called === 0) return;
    const timer = setTimeout(() => setCalled(0), HURRY_MS);
    return () => clearTimeout(timer);
  }, [called]);
  const hurry = useCallback(() => setCalled((known) => known + 1), []);
  return { paceMs: called === 0 ? everyMs : Math.min(SOON_MS, everyMs), hurry };
}
