// How long each thing that was said of a line held: until the next that was said of the same one.

export interface Said {
  /** ms. */
  at: number;
  venue: string;
  /** null: of the whole line. */
  symbol: string | null;
  state: string;
  reason: string;
  key: string;
}

export interface Held extends Said {
  /** ms; null: it still holds; `restart`: until an earlier run ended, which is not known to the second. */
  until: number | null | "restart";
}

/**
 * Newest first, as given; `started`: of the run that answers, ms. Failover is a matter of its own: a switch holds until the next
 * switch of anybody's, and ends no line's state.
 */
export function spans(said: readonly Said[], started = 0): Held[] {
  const next = new Map<string, number>();
  return said.map((one) => {
    const of = one.state === "switched" ? "switched" : `${one.venue} ${one.symbol ?? ""}`;
    const until = next.get(of) ?? null;
    next.set(of, one.at);
    return { ...one, until: one.at < started && (until === null || until >= started) ? "restart" : until };
  });
}
