// Indicators of candles by the formulas of docs/analysis.md, over all candles that are loaded. null: not enough of them.

export interface Bar {
  /** Open time, s since the epoch. */
  time: number;
  open: number;
  high: number;
  low: number;
  close: number;
  volume: number;
}

export type Line = (number | null)[];

export const RIBBON = [8, 13, 21, 34, 55] as const;
const DAY_S = 86_400;

/** Exponential average; it begins with the plain mean of the first n. */
export function ema(values: readonly number[], n: number): Line {
  const line: Line = new Array<number | null>(values.length).fill(null);
  if (values.length < n) return line;
  let last = mean(values.slice(0, n));
  line[n - 1] = last;
  for (let at = n; at < values.length; at++) {
    last += ((values[at]! - last) * 2) / (n + 1);
    line[at] = last;
  }
  return line;
}

/** Middle, and two deviations (the population's) above and below. */
export function bollinger(closes: readonly number[], n = 20, deviations = 2): { upper: Line; middle: Line; lower: Line } {
  const { means, spreads } = windows(closes, n);
  const shifted = (by: number): Line => means.map((one, at) => (one === null ? null : one + by * deviations * spreads[at]!));
  return { upper: shifted(1), middle: means, lower: shifted(-1) };
}

/** Volume-weighted price since 00:00 UTC of the day. */
export function vwap(bars: readonly Bar[]): Line {
  let day = NaN;
  let worth = 0;
  let volume = 0;
  return bars.map((bar) => {
    const its = Math.floor(bar.time / DAY_S);
    if (its !== day) {
      day = its;
      worth = volume = 0;
    }
    worth += ((bar.high + bar.low + bar.close) / 3) * bar.volume;
    volume += bar.volume;
    return volume > 0 ? worth / volume : null;
  });
}

/** TTM squeeze: whether Bollinger lies inside Keltner, and the momentum. */
export function squeeze(bars: readonly Bar[], n = 20, bands = 2, keltner = 1.5): { on: (boolean | null)[]; momentum: Line } {
  const closes = bars.map((bar) => bar.close);
  const { means, spreads } = windows(closes, n);
  const ranges = bars.map((bar, at) => {
    const before = bars[at - 1]?.close;
    return before === undefined ? null : Math.max(bar.high, before) - Math.min(bar.low, before);
  });
  const on = bars.map((_, at) => {
    if (at < n || means[at] === null) return null;
    let sum = 0;
    for (let back = 0; back < n; back++) sum += ranges[at - back]!;
    return bands * spreads[at]! < keltner * (sum / n);
  });
  const away: Line = bars.map((bar, at) => {
    const middle = means[at];
    if (middle === null || middle === undefined) return null;
    let high = -Infinity;
    let low = Infinity;
    for (let back = 0; back < n; back++) {
      high = Math.max(high, bars[at - back]!.high);
      low = Math.min(low, bars[at - back]!.low);
    }
    return bar.close - ((high + low) / 2 + middle) / 2;
  });
  return { on, momentum: bars.map((_, at) => endOfLine(away, at, n)) };
}

/** The end of the least squares line through the last n values. */
function endOfLine(values: Line, at: number, n: number): number | null {
  if (at < n - 1 || values[at - n + 1] === null) return null;
  const middle = (n - 1) / 2;
  let sum = 0;
  let slope = 0;
  let square = 0;
  for (let x = 0; x < n; x++) {
    const value = values[at - n + 1 + x]!;
    sum += value;
    slope += (x - middle) * value;
    square += (x - middle) ** 2;
  }
  return sum / n + (slope / square) * middle;
}

/** Wilder's. null while no close differs from another. */
export function rsi(closes: readonly number[], n = 14): Line {
  const line: Line = new Array<number | null>(closes.length).fill(null);
  let gain = 0;
  let loss = 0;
  for (let at = 1; at < closes.length; at++) {
    const moved = closes[at]! - closes[at - 1]!;
    if (at <= n) {
      gain += Math.max(moved, 0) / n;
      loss += Math.max(-moved, 0) / n;
    } else {
      gain = ((n - 1) * gain + Math.max(moved, 0)) / n;
      loss = ((n - 1) * loss + Math.max(-moved, 0)) / n;
    }
    if (at >= n && gain + loss > 0) line[at] = (100 * gain) / (gain + loss);
  }
  return line;
}

/** Where the RSI lies between its lowest and highest of n; %K and %D are plain means of 3. */
export function stochasticRsi(closes: readonly number[], period = 14, n = 14, smooth = 3): { k: Line; d: Line } {
  const strength = rsi(closes, period);
  const raw: Line = strength.map((value, at) => {
    if (value === null || at < n - 1) return null;
    let low = Infinity;
    let high = -Infinity;
    for (let back = 0; back < n; back++) {
      const one = strength[at - back];
      if (one === null || one === undefined) return null;
      low = Math.min(low, one);
      high = Math.max(high, one);
    }
    return high - low < 1e-6 ? null : (100 * (value - low)) / (high - low);
  });
  const k = plain(raw, smooth);
  return { k, d: plain(k, smooth) };
}

function plain(line: Line, n: number): Line {
  return line.map((_, at) => {
    let sum = 0;
    for (let back = 0; back < n; back++) {
      const one = line[at - back];
      if (one === null || one === undefined) return null;
      sum += one;
    }
    return sum / n;
  });
}

function windows(values: readonly number[], n: number): { means: Line; spreads: Line } {
  const means: Line = [];
  const spreads: Line = [];
  for (let at = 0; at < values.length; at++) {
    if (at < n - 1) {
      means.push(null);
      spreads.push(null);
      continue;
    }
    const window = values.slice(at - n + 1, at + 1);
    const middle = mean(window);
    means.push(middle);
    spreads.push(Math.sqrt(mean(window.map((one) => (one - middle) ** 2))));
  }
  return { means, spreads };
}

function mean(values: readonly number[]): number {
  let sum = 0;
  for (const one of values) sum += one;
  return sum / values.length;
}
