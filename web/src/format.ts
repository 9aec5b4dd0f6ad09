// How figures are shown. Prices keep the venue's digits but not the zeros behind them; nothing is computed with what is shown.

const GROUP = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const COMPACT = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 2 });

/** The venue's text with thousands apart; zeros at the end go, at least two decimals stay. */
export function price(text: string | null | undefined): string {
  if (text === null || text === undefined) return "–";
  const [whole = "0", decimals = ""] = text.split(".");
  const kept = decimals.replace(/0+$/, "");
  const shown = kept.length < 2 && !whole.startsWith("0") ? kept.padEnd(Math.min(2, Math.max(decimals.length, 2)), "0") : kept;
  const sign = whole.startsWith("-") ? "-" : "";
  const digits = whole.replace("-", "").replace(/\B(?=(\d{3})+(?!\d))/g, ",");
  return sign + digits + (shown === "" ? "" : `.${shown}`);
}

export function size(text: string | null | undefined): string {
  if (text === null || text === undefined) return "–";
  const value = Number(text);
  if (value >= 100_000) return COMPACT.format(value);
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

export function count(value: number): string {
  return GROUP.format(value);
}

export function percent(value: number | null, digits = 2): string {
  if (value === null || !Number.isFinite(value)) return "–";
  return `${value > 0 ? "+" : ""}${value.toFixed(digits)} %`;
}

export function figure(value: number | null | undefined, digits = 6): string {
  if (value === null || value === undefined) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e7 || size < 1e-4) return value.toExponential(2);
  return Number(value.toPrecision(digits)).toLocaleString("en-US", { maximumSignificantDigits: digits });
}

/** With so many decimals, thousands apart. */
export function fixed(value: number, digits: number): string {
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

export function ms(value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  if (Math.abs(value) >= 60_000) return ago(value);
  if (Math.abs(value) >= 1000) return `${(value / 1000).toFixed(1)} s`;
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
}

/** A length of time by its largest unit or two. */
export function ago(lengthMs: number): string {
  const s = Math.max(0, Math.round(lengthMs / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86_400)} d ${Math.floor((s % 86_400) / 3600)} h`;
}

export function since(iso: string | null, now = Date.now()): string {
  return iso === null ? "–" : ago(now - Date.parse(iso));
}

const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit", timeZone: "UTC" });
const MOMENT = new Intl.DateTimeFormat("en-GB", {
  day: "2-digit", month: "short", hour: "2-digit", minute: "2-digit", timeZone: "UTC",
});

/** Time of day, UTC. */
export function clock(at: number | string | bigint): string {
  return CLOCK.format(new Date(typeof at === "bigint" ? Number(at / 1_000_000n) : at));
}

/** Day and minute, UTC. */
export function moment(at: number | string): string {
  return MOMENT.format(new Date(at)).replace(",", "");
}

const STEPS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800, M: 2_592_000 };

/** Of a timeframe, in ms; a month counts 30 days. */
export function stepMs(timeframe: string): number {
  const found = /^(\d+)([smhdwM])$/.exec(timeframe);
  return found === null ? 60_000 : Number(found[1]) * STEPS[found[2] ?? "m"]! * 1000;
}
