// Dark or light: as the device says, unless the person said otherwise here.

import { useEffect, useState } from "preact/hooks";

export type Theme = "dark" | "light";

const KEPT = "marketd.theme";
const dark = matchMedia("(prefers-color-scheme: dark)");
const watchers = new Set<(theme: Theme) => void>();

export function theme(): Theme {
  const kept = localStorage.getItem(KEPT);
  return kept === "dark" || kept === "light" ? kept : dark.matches ? "dark" : "light";
}

export function applyTheme(): void {
  document.documentElement.dataset.theme = theme();
  for (const watcher of [...watchers]) watcher(theme());
}

export function toggleTheme(): void {
  const next: Theme = theme() === "dark" ? "light" : "dark";
  if (next === (dark.matches ? "dark" : "light")) localStorage.removeItem(KEPT);
  else localStorage.setItem(KEPT, next);
  applyTheme();
}

dark.addEventListener("change", applyTheme);

export function useTheme(): Theme {
  const [known, setKnown] = useState(theme());
  useEffect(() => {
    watchers.add(setKnown);
    return () => void watchers.delete(setKnown);
  }, []);
  return known;
}

/** A colour of the style sheet, for what draws itself. */
export function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
