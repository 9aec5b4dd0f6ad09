// Small pieces that several views are made of.

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

/** Which colour a state has. */
export function tone(state: string): "ok" | "warn" | "bad" | "off" {
  if (["ok", "live", "connected", "have", "completed", "in sync", "synced"].includes(state)) return "ok";
  if (["unhealthy", "dead", "down", "refused", "missing", "failed", "unrecoverable", "disconnected", "error"].includes(state)) return "bad";
  if (["standby", "dry", "known_empty", "unlisted", "off", "none", "unknown"].includes(state)) return "off";
  return "warn";
}

export function Badge({ state, children }: { state: string; children?: ComponentChildren }) {
  return <span class={`badge ${tone(state)}`}>{children ?? state}</span>;
}

/** Closes as a line, in the colour of where it went. */
export function Spark({ values, width = 112, height = 28 }: { values: readonly number[]; width?: number; height?: number }) {
  if (values.length < 2) return <svg class="spark" viewBox={`0 0 ${width} ${height}`} aria-hidden="true" />;
  const low = Math.min(...values);
  const span = Math.max(...values) - low || 1;
  const step = (width - 2) / (values.length - 1);
  const points = values.map((value, at) => `${(1 + at * step).toFixed(1)},${(height - 3 - ((value - low) / span) * (height - 6)).toFixed(1)}`);
  const rose = values[values.length - 1]! >= values[0]!;
  return (
    <svg class={`spark ${rose ? "up" : "down"}`} viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" aria-hidden="true">
      <polygon points={`1,${height} ${points.join(" ")} ${width - 1},${height}`} />
      <polyline points={points.join(" ")} />
    </svg>
  );
}

/** A figure that flashes in the direction in which it moved. */
export function Flash({ value, children }: { value: number | null; children: ComponentChildren }) {
  const before = useRef(value);
  const node = useRef<HTMLSpanElement>(null);
  useEffect(() => {
    const was = before.current;
    before.current = value;
    if (was === null || value === null || was === value) return;
    const name = value > was ? "flash-up" : "flash-down";
    const element = node.current;
    element?.classList.remove("flash-up", "flash-down");
    void element?.offsetWidth; // so that the animation begins anew
    element?.classList.add(name);
  }, [value]);
  return (
    <span ref={node} class="flash">
      {children}
    </span>
  );
}

export function Bar({ fill, title }: { fill: number; title?: string }) {
  const level = fill >= 0.9 ? "bad" : fill >= 0.8 ? "warn" : "ok";
  return (
    <svg class={`bar ${level}`} viewBox="0 0 100 6" preserveAspectRatio="none" role="img" aria-label={title ?? `${Math.round(fill * 100)} %`}>
      <rect class="bar-back" width="100" height="6" rx="3" />
      <rect class="bar-fill" width={Math.max(0.8, Math.min(100, fill * 100))} height="6" rx="3" />
    </svg>
  );
}

export function Section({ title, aside, children, id }: { title: string; aside?: ComponentChildren; children: ComponentChildren; id?: string }) {
  return (
    <section class="panel" id={id} aria-label={title}>
      <header class="panel-head">
        <h2>{title}</h2>
        {aside}
      </header>
      {children}
    </section>
  );
}

export function Stat({ name, value, note, kind }: { name: string; value: ComponentChildren; note?: ComponentChildren; kind?: string }) {
  return (
    <div class="stat">
      <span class="stat-name">{name}</span>
      <span class={`stat-value ${kind ?? ""}`}>{value}</span>
      {note === undefined ? null : <span class="stat-note">{note}</span>}
    </div>
  );
}

/** Now, by the second. */
export function useNow(everyMs = 1000): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}
