// The charts' colours, from the style sheet.

import { ColorType, CrosshairMode, type ChartOptions, type DeepPartial } from "lightweight-charts";
import { colour } from "../theme";

export interface Look extends DeepPartial<ChartOptions> {
  accent: string;
  up: string;
  down: string;
}

export function chartColours(): Look {
  const line = colour("line");
  return {
    accent: colour("accent"),
    up: colour("rise"),
    down: colour("fall"),
    layout: {
      background: { type: ColorType.Solid, color: "transparent" },
      textColor: colour("muted"),
      fontFamily: "ui-sans-serif, system-ui, sans-serif",
      fontSize: 11,
      attributionLogo: false, // it brings a style element, which the page's policy forbids; the footer names and links it
      panes: { separatorColor: line, separatorHoverColor: colour("hover") },
    },
    grid: { vertLines: { color: colour("grid") }, horzLines: { color: colour("grid") } },
    crosshair: { mode: CrosshairMode.Normal },
    rightPriceScale: { borderColor: line },
    timeScale: { borderColor: line, timeVisible: true, secondsVisible: false },
  };
}
