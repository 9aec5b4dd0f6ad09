// The chart's table as a person reads it, and the API's answer in the same form.

import type { Page } from "playwright-core";

export interface Row {
  /** Open time, s. */
  time: number;
  /** Open, high, low, close, volume as they are written. */
  digits: string[];
  closed: boolean;
  revision: number;
}

/** The rows on the page, newest first. */
export function tableOf(page: Page): Promise<Row[]> {
  return page.locator("#candles tbody tr").evaluateAll((rows) =>
    (rows as HTMLTableRowElement[]).map((row) => ({
      time: Number(row.dataset.time),
      digits: [...row.querySelectorAll("td.n")].map((cell) => cell.textContent ?? ""),
      closed: row.dataset.closed === "true",
      revision: Number(/revision (\d+)/.exec(row.lastElementChild?.textContent ?? "")?.[1] ?? 0),
    })),
  );
}

interface Stored {
  open_time: string;
  open: string;
  high: string;
  low: string;
  close: string;
  volume: string;
  closed: boolean;
  revision: number;
}

/** An answer of `/candles`, newest first. */
export function digitsOf(answer: Stored[]): Row[] {
  return answer
    .map(({ open_time, open, high, low, close, volume, closed, revision }) => ({ time: Date.parse(open_time) / 1000, digits: [open, high, low, close, volume], closed, revision }))
    .reverse();
}

/** Where the two differ first; empty if they do not. */
export function difference(shown: readonly Row[], stored: readonly Row[]): string {
  if (shown.length !== stored.length) return `${shown.length} are shown, ${stored.length} stored`;
  const at = shown.findIndex((row, place) => JSON.stringify(row) !== JSON.stringify(stored[place]));
  return at < 0 ? "" : `shown ${JSON.stringify(shown[at])}, stored ${JSON.stringify(stored[at])}`;
}
