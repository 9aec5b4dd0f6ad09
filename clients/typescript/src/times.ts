// Times to the nanosecond, as bigint, since a double holds the present only to a quarter of a microsecond.

/** A Date, ISO 8601 text (without a zone: UTC), or nanoseconds since the epoch. */
export type Time = Date | string | bigint;

const SECOND = 1_000_000_000n;
const ISO = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)?)?$/;

/** Nanoseconds as ISO 8601 with nine decimals, UTC. */
export function isoOfNs(ns: bigint): string {
  const rest = ((ns % SECOND) + SECOND) % SECOND;
  const date = new Date(Number((ns - rest) / 1_000_000n));
  return `${date.toISOString().slice(0, 19)}.${rest.toString().padStart(9, "0")}Z`;
}

/** ISO 8601 as nanoseconds; none of its digits is lost. Throws RangeError. */
export function nsOfIso(text: string): bigint {
  const found = ISO.exec(text);
  const day = found?.[1];
  const ms = day === undefined ? NaN : Date.parse(`${day}T${found?.[2] ?? "00:00:00"}${found?.[4] ?? "Z"}`);
  if (Number.isNaN(ms)) throw new RangeError(`${JSON.stringify(text)} is no time as 2024-11-14T17:30:00Z`);
  return BigInt(ms) * 1_000_000n + BigInt((found?.[3] ?? "").padEnd(9, "0"));
}

/** As the API takes it. Throws RangeError. */
export function timeText(time: Time): string {
  if (typeof time === "bigint") return isoOfNs(time);
  return typeof time === "string" ? time : time.toISOString();
}
