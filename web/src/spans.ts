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
  /** ms; null: it still holds. */
  until: number | null;
}

/** Newest first, as given. Failover is a matter of its own: a switch holds until the next switch of anybody's, and ends no line's state. */
export function spans(said: readonly Said[]): Held[] {
  const next = new Map<string, number>();
  return said.map((one) => {
    const of = one.state === "switched" ? "switched" : `${one.venue} ${one.symbol ?? ""}`;
    const until = next.get(of) ?? null;
    next.set(of, one.at);
    return { ...one, until };
  });
}
