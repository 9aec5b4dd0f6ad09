// The keys, for whoever asks.

import { useLayoutEffect, useRef } from "preact/hooks";

const KEYS: readonly [string, string][] = [
  ["1 – 6", "Markets, Chart, Completeness, Status, Features, Paper"],
  ["g, m c l s f p", "the same by letter, after g; l is the ledger, of Completeness"],
  ["/", "find a symbol"],
  ["j k, ↑ ↓", "next and previous row"],
  ["Enter", "open the row"],
  ["d", "dark or light"],
  ["[ ]", "chart: shorter and longer candles"],
  ["← →, + −", "chart: move, zoom"],
  ["e b v s o", "chart: EMA ribbon, Bollinger, VWAP, TTM squeeze, Stoch RSI"],
  ["t", "chart: the candles as a table"],
  ["p", "status: hold the activity"],
  ["Esc", "leave a field or a dialog"],
];

export function Help({ close }: { close: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} class="dialog" onClose={close} onClick={(event) => event.target === dialog.current && close()} aria-label="Keys">
      <h2>Keys</h2>
      <dl class="keys">
        {KEYS.map(([key, meaning]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{meaning}</dd>
          </div>
        ))}
      </dl>
      <div class="buttons">
        <button onClick={close}>Close</button>
      </div>
    </dialog>
  );
}
