// Keys: one listener, and each view says what its keys do while it is shown. "g m" is g and soon after it m.

import { useEffect, useRef } from "preact/hooks";

export type Keys = Record<string, (event: KeyboardEvent) => void>;

const stack: { current: Keys }[] = [];
const SOON_MS = 1200;
let prefix = { key: "", at: 0 };

addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const target = event.target as HTMLElement;
  const typing = target.matches("input:not([type=checkbox]), textarea, select");
  if (typing && event.key !== "Escape") return;
  if ((event.key === "Enter" || event.key === " ") && target.matches("button, a, summary, input")) return;
  const both = event.timeStamp - prefix.at < SOON_MS ? `${prefix.key} ${event.key}` : "";
  prefix = { key: event.key, at: event.timeStamp };
  for (const keys of [...stack].reverse()) {
    const work = keys.current[both] ?? keys.current[event.key];
    if (work !== undefined) {
      event.preventDefault();
      work(event);
      return;
    }
  }
});

export function useKeys(keys: Keys): void {
  const current = useRef(keys);
  current.current = keys;
  useEffect(() => {
    stack.push(current);
    return () => void stack.splice(stack.indexOf(current), 1);
  }, []);
}
