import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

// Built into the package, where the API finds it. `npm run dev` shows the daemon of MARKETD_URL with hot reload.
const daemon = process.env.MARKETD_URL ?? "http://127.0.0.1:8100";
const paths = "^/(api|candles|gaps|ledger|repair|symbols|status|overview|health|stats|bus-stats|pairs|latest|features|state|scanner|analysis|trades|paper|subscriptions|openapi)";

export default defineConfig({
  base: "/",
  resolve: { alias: { "marketd-client": fileURLToPath(new URL("../clients/typescript/src/index.ts", import.meta.url)) } },
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: "../src/marketd/web",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 600,
  },
  server: { proxy: { [paths]: daemon, "/ws": { target: daemon, ws: true } } },
});
