// Where we are, in the part of the address behind #: nothing of it is sent to the server.

import { useEffect, useState } from "preact/hooks";

export type View = "markets" | "chart" | "completeness" | "status" | "features" | "paper";

export interface Route {
  view: View;
  parts: string[];
}

/** `key`: after g. */
export const VIEWS: readonly { view: View; title: string; key: string }[] = [
  { view: "markets", title: "Markets", key: "m" },
  { view: "chart", title: "Chart", key: "c" },
  { view: "completeness", title: "Completeness", key: "l" },
  { view: "status", title: "Status", key: "s" },
  { view: "features", title: "Features", key: "f" },
  { view: "paper", title: "Paper", key: "p" },
];

export function routeOf(hash: string): Route {
  const [name = "", ...parts] = hash.replace(/^#?\/?/, "").split("/").map(decoded);
  const view = VIEWS.find((one) => one.view === name)?.view ?? "markets";
  return { view, parts: parts.filter((one) => one !== "") };
}

export function linkTo(view: View, ...parts: string[]): string {
  return `#/${[view, ...parts.map(encodeURIComponent)].join("/")}`;
}

export function go(view: View, ...parts: string[]): void {
  location.hash = linkTo(view, ...parts);
}

export function useRoute(): Route {
  const [route, setRoute] = useState(() => routeOf(location.hash));
  useEffect(() => {
    const read = (): void => setRoute(routeOf(location.hash));
    addEventListener("hashchange", read);
    return () => removeEventListener("hashchange", read);
  }, []);
  return route;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
