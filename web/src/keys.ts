// Keys: one listener, and each view says what its keys do while it is shown.

import { useEffect, useRef } from "preact/hooks";

export type Keys = Record<string, (event: KeyboardEvent) => void>;

const stack: { current: Keys }[] = [];

addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const target = event.target as HTMLElement;
  const typing = target.matches("input:not([type=checkbox]), textarea, select");
  if (typing && event.key !== "Escape") return;
  if ((event.key === "Enter" || event.key === " ") && target.matches("button, a, summary, input")) return;
  for (const keys of [...stack].reverse()) {
    const work = keys.current[event.key];
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
