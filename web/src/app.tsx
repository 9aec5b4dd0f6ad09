// The frame around every view: where one can go, how the daemon is, whether what is seen is live.

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { useKeys } from "./keys";
import { useLiveState, type LiveState } from "./live";
import { Help } from "./parts/help";
import { tone, useNow } from "./parts/pieces";
import { Finder } from "./parts/finder";
import { lookAgain, useOverview, type Known } from "./overview";
import { go, linkTo, useRoute, VIEWS, type Route, type View } from "./router";
import { act, client, hasToken, stream } from "./server";
import { ago } from "./format";
import { theme, toggleTheme, useTheme } from "./theme";
import { Chart } from "./views/chart";
import { Completeness } from "./views/completeness";
import { Features } from "./views/features";
import { Markets } from "./views/markets";
import { Paper } from "./views/paper";
import { Status } from "./views/status";

const SHOWN: Record<View, (props: { route: Route }) => JSX.Element> = {
  markets: Markets,
  chart: Chart,
  completeness: Completeness,
  status: Status,
  features: Features,
  paper: Paper,
};

export function App() {
  const route = useRoute();
  const live = useLiveState();
  const overview = useOverview();
  const [help, setHelp] = useState(false);
  const [finding, setFinding] = useState(false);
  const main = useRef<HTMLElement>(null);
  useTheme();

  const title = VIEWS.find((one) => one.view === route.view)?.title ?? "";
  useEffect(() => {
    document.title = `${[...route.parts.slice(0, 2).reverse(), title].join(" · ")} – marketd`;
  }, [route, title]);

  useKeys({
    ...Object.fromEntries(VIEWS.flatMap((one, at) => [String(at + 1), `g ${one.key}`].map((key) => [key, () => go(one.view)]))),
    "/": () => setFinding(true),
    "?": () => setHelp(true),
    d: () => toggleTheme(),
    Escape: () => (document.activeElement as HTMLElement | null)?.blur(),
  });

  useEffect(() => document.querySelector(".nav .on")?.scrollIntoView({ inline: "center", block: "nearest" }), [route.view]);
  const View = SHOWN[route.view];
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => (event.preventDefault(), main.current?.focus())}>
        To the content
      </a>
      <header class="top">
        <a class="brand" href={linkTo("markets")} aria-label="marketd, markets">
          <Mark /> <span>marketd</span>
        </a>
        <nav class="nav" aria-label="Views">
          {VIEWS.map((one, at) => (
            <a href={linkTo(one.view)} class={one.view === route.view ? "on" : ""} aria-current={one.view === route.view ? "page" : undefined} title={`${one.title} (${at + 1} or g ${one.key})`}>
              {one.title}
            </a>
          ))}
        </nav>
        <div class="top-right">
          <button class="quiet find" onClick={() => setFinding(true)} aria-label="Find a symbol" title="Find a symbol (/)">
            <svg viewBox="0 0 16 16" aria-hidden="true"><circle cx="7" cy="7" r="4.5" /><path d="m10.5 10.5 3.5 3.5" /></svg>
            <span class="wide">Find</span>
            <kbd class="wide">/</kbd>
          </button>
          <Health overview={overview} live={live} />
          <button class="quiet icon" onClick={toggleTheme} aria-label={theme() === "dark" ? "Light colours" : "Dark colours"} title="Dark or light (d)">
            <svg viewBox="0 0 16 16" aria-hidden="true"><path d="M8 1.5a6.5 6.5 0 1 0 0 13z" class="fill" /><circle cx="8" cy="8" r="6.5" /></svg>
          </button>
        </div>
      </header>
      <Connection live={live} overview={overview} />
      <main id="main" ref={main} tabIndex={-1} class={live.mode === "lost" || (overview.error !== null && !overview.refused) ? "stale" : ""}>
        <View route={route} key={route.view} />
      </main>
      <footer class="foot">
        <span>
          <a href="/docs">API</a> · <a href="/plain">plain status</a> · <a href="/metrics">metrics</a> · times are UTC · <button class="link" onClick={() => setHelp(true)}>keys <kbd>?</kbd></button>
        </span>
        <span>
          Charts: <a href="https://www.tradingview.com/" target="_blank" rel="noreferrer noopener">TradingView Lightweight Charts™</a>
        </span>
      </footer>
      {help ? <Help close={() => setHelp(false)} /> : null}
      {finding ? <Finder close={() => setFinding(false)} /> : null}
    </>
  );
}

/** The daemon's own word of itself, and whether what is seen moves. */
function Health({ overview, live }: { overview: Known; live: LiveState }) {
  const locked = overview.refused || live.mode === "refused";
  const away = !locked && (overview.error !== null || live.mode === "lost");
  const status = locked ? "locked" : away ? "away" : (overview.data?.health.status ?? "…");
  const words = { live: "live", asking: "asking every 2 s", connecting: "connecting", lost: "not connected", refused: "needs the token" }[live.mode];
  return (
    <a class="health" href={linkTo("status")} title={`marketd is ${status}; ${words}`}>
      <span class={`dot ${away ? "bad" : tone(status)} ${live.mode === "live" && !away ? "pulse" : ""}`} />
      <span class="wide">{status}</span>
    </a>
  );
}

/** What is not as it should be with the connection, and what happens now. */
function Connection({ live, overview }: { live: LiveState; overview: Known }) {
  const now = useNow();
  if (live.mode === "refused" || overview.refused) {
    return (
      <div class="banner warn" role="status">
        <span>This marketd asks for its token before it shows anything.</span>
        <button onClick={() => void act("Look at this marketd", async () => void (await client.status())).then((given) => given && location.reload())}>{hasToken() ? "Another token" : "Enter the token"}</button>
      </div>
    );
  }
  const since = overview.error === null ? live.since : Math.min(overview.since, live.mode === "lost" ? live.since : Infinity);
  const gone = now - since;
  if ((live.mode === "lost" || overview.error !== null) && gone > 1200) {
    return (
      <div class="banner bad" role="alert">
        <span>
          Connection lost {ago(gone)} ago. What you see is from then; it goes on by itself as soon as marketd answers, with what was missed.
        </span>
        <button onClick={() => (lookAgain(), stream.retry())}>Try now</button>
      </div>
    );
  }
  return null;
}

function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
      <path d="M9 5v22M23 5v22" />
      <rect x="5.5" y="12" width="7" height="10" rx="1.5" class="fall" />
      <rect x="19.5" y="8" width="7" height="12" rx="1.5" class="rise" />
    </svg>
  );
}
