// The candles of one series: history and live ones joined by their open time, with the venue's digits beside the numbers to draw.

import type { Candle, CandleEvent } from "marketd-client";
import type { Bar } from "./indicators.js";

export interface Held extends Bar {
  /** The venue's text. */
  digits: { open: string; high: string; low: string; close: string; volume: string };
  closed: boolean;
  revision: number;
}

export class Candles {
  /** By open time, oldest first. */
  all: Held[] = [];

  /** Stored ones, in any order; what is known to be newer stays. True: something is not at the end. */
  merge(stored: readonly Candle[]): void {
    const byTime = new Map(this.all.map((one) => [one.time, one]));
    for (const one of stored) {
      const made = ofStored(one);
      const known = byTime.get(made.time);
      if (known === undefined || !isOlder(made, known)) byTime.set(made.time, made);
    }
    this.all = [...byTime.values()].sort((a, b) => a.time - b.time);
  }

  /** A live one: `last` where it is the newest candle or its successor, `within` where it changes an older one, else null. */
  take(event: CandleEvent): "last" | "new" | "within" | null {
    const made = ofEvent(event);
    const last = this.all.at(-1);
    if (last === undefined || made.time > last.time) {
      this.all.push(made);
      return "new";
    }
    const at = this.all.findLastIndex((one) => one.time <= made.time);
    const known = this.all[at];
    if (known?.time === made.time) {
      if (isOlder(made, known) || same(made, known)) return null;
      this.all[at] = made;
      return at === this.all.length - 1 ? "last" : "within";
    }
    this.all.splice(at + 1, 0, made);
    return "within";
  }
}

/** A stretch of time, in s; `to` exclusive. */
export interface Span {
  from: number;
  to: number;
}

/**
 * From where to where something is not as it is stored: candles that the ledger has (it names every stretch that it has not) and
 * we have not, or that were never told to be closed. null: nothing.
 */
export function lacking(all: readonly Held[], holes: readonly Span[], stepS: number): Span | null {
  let from = Infinity;
  let to = -Infinity;
  const add = (start: number, stop: number): void => {
    from = Math.min(from, start);
    to = Math.max(to, stop);
  };
  for (let at = 1; at < all.length; at++) {
    const before = all[at - 1]!;
    const next = all[at]!;
    if (!before.closed) add(before.time, next.time);
    for (let time = before.time + stepS; time < next.time; time += stepS) {
      const hole = holes.find((one) => one.from <= time && time < one.to);
      if (hole === undefined) add(time, time + stepS);
      else time = Math.max(time, Math.ceil((hole.to - time) / stepS - 1) * stepS + time);
    }
  }
  return from < to ? { from, to } : null;
}

/** Whether `made` says less than what is known: a lower revision, or open again what was closed. */
function isOlder(made: Held, known: Held): boolean {
  return made.revision < known.revision || (known.closed && !made.closed);
}

function same(a: Held, b: Held): boolean {
  const names = ["open", "high", "low", "close", "volume"] as const;
  return a.closed === b.closed && a.revision === b.revision && names.every((name) => a.digits[name] === b.digits[name]);
}

function ofStored(one: Candle): Held {
  return held(Date.parse(one.open_time) / 1000, one, one.closed ?? true, one.revision ?? 0);
}

function ofEvent(one: CandleEvent): Held {
  return held(Number(one.open_time / 1_000_000_000n), one, one.closed, one.revision);
}

function held(time: number, one: Held["digits"], closed: boolean, revision: number): Held {
  const { open, high, low, close, volume } = one;
  const digits = { open, high, low, close, volume };
  return { time, open: Number(open), high: Number(high), low: Number(low), close: Number(close), volume: Number(volume), digits, closed, revision };
}

/** How many decimals the prices need, zeros at the end not counted. */
export function decimalsOf(candles: readonly Held[]): number {
  let most = 2;
  for (const one of candles.slice(-200)) {
    for (const text of [one.digits.open, one.digits.close]) {
      const point = text.indexOf(".");
      if (point >= 0) most = Math.max(most, text.slice(point + 1).replace(/0+$/, "").length);
    }
  }
  return Math.min(most, 10);
}
