// Every text of the style sheet on every surface it stands on, in both themes: WCAG 2.2, 1.4.3 (AA, 4.5:1) and 1.4.11 (3:1).

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

type Rgb = readonly [number, number, number];

const css = readFileSync(join(import.meta.dirname, "..", "..", "..", "src", "style.css"), "utf8");
const light = tokens(/:root \{([^}]*)\}/);
const themes = { light, dark: { ...light, ...tokens(/:root\[data-theme="dark"\] \{([^}]*)\}/) } };

function tokens(block: RegExp): Record<string, string> {
  const found = block.exec(css)?.[1] ?? "";
  return Object.fromEntries([...found.matchAll(/--([\w-]+): (#[0-9a-f]{6,8});/gi)].map(([, name = "", value = ""]) => [name, value]));
}

function rgb(hex: string): Rgb {
  return [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)) as unknown as Rgb;
}

/** `share` of a colour over another. */
function over(top: Rgb, share: number, below: Rgb): Rgb {
  return top.map((one, at) => one * share + below[at]! * (1 - share)) as unknown as Rgb;
}

function luminance(colour: Rgb): number {
  const [r, g, b] = colour.map((one) => (one / 255 <= 0.04045 ? one / 255 / 12.92 : ((one / 255 + 0.055) / 1.055) ** 2.4)) as [number, number, number];
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(a: Rgb, b: Rgb): number {
  const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x) as [number, number];
  return (high + 0.05) / (low + 0.05);
}

const SURFACES = ["bg", "panel", "hover", "field"];
const TEXTS = ["text", "muted", "strong", "accent", "up", "down", "warn", "signal"];
/** What stands on a wash of its own colour, and how strong the wash is: badges, the chosen view, a row, the banner. */
const WASHES: readonly [string, string, number][] = [
  ["up", "up", 0.13], ["warn", "warn", 0.14], ["down", "down", 0.13], ["signal", "lost", 0.16], ["muted", "muted", 0.15], ["accent", "accent", 0.14],
  ["text", "accent", 0.14], ["text", "down", 0.14], ["text", "warn", 0.14],
];

for (const [name, theme] of Object.entries(themes)) {
  const of = (token: string): Rgb => rgb(theme[token] ?? assert.fail(`--${token} is not in the style sheet`));
  test(`text can be read, ${name}`, () => {
    const weak: string[] = [];
    const look = (what: string, text: Rgb, surface: Rgb): void => {
      const ratio = contrast(text, surface);
      if (ratio < 4.5) weak.push(`${what}: ${ratio.toFixed(2)}`);
    };
    for (const surface of SURFACES) for (const text of TEXTS) look(`${text} on ${surface}`, of(text), of(surface));
    for (const [text, wash, share] of WASHES) look(`${text} on a wash of ${wash}`, of(text), over(of(wash), share, of("panel")));
    look("text of a button", of("on-accent"), of("accent"));

    assert.deepEqual(weak, []);
  });

  test(`what means something by its colour can be seen, ${name}`, () => {
    const weak = ["accent", "have", "missing", "repairing", "lost", "rise", "fall", "signal", "vwap", ...[1, 2, 3, 4, 5].map((one) => `ribbon-${one}`), "bands"]
      .map((token) => [token, contrast(of(token), of("panel"))] as const)
      .filter(([, ratio]) => ratio < 3)
      .map(([token, ratio]) => `${token}: ${ratio.toFixed(2)}`);

    assert.deepEqual(weak, []);
  });
}
