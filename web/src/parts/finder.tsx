// Find a symbol by a few of its letters, and open its chart.

import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { usePolled } from "../polling";
import { go } from "../router";
import { client } from "../server";

const SHOWN = 12;

export function Finder({ close }: { close: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [words, setWords] = useState("");
  const [at, setAt] = useState(0);
  const symbols = usePolled((signal) => client.get("/symbols", {}, signal), 60_000, [], ["ingest", "archive"]);
  useLayoutEffect(() => dialog.current?.showModal(), []); // before the next key: the first letter is part of the name
  const found = useMemo(() => matching(symbols.data ?? {}, words).slice(0, SHOWN), [symbols.data, words]);
  const open = (row: [string, string] | undefined): void => {
    if (row === undefined) return;
    go("chart", row[0], row[1]);
    close();
  };
  const onKey = (event: KeyboardEvent): void => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      const step = event.key === "ArrowDown" ? 1 : -1;
      setAt((known) => (found.length === 0 ? 0 : (known + step + found.length) % found.length));
    } else if (event.key === "Escape") {
      event.preventDefault(); // a field would only empty itself first
      close();
    } else if (event.key === "Enter") {
      event.preventDefault();
      open(found[at]);
    }
  };
  return (
    <dialog ref={dialog} class="dialog finder" onClose={close} onClick={(event) => event.target === dialog.current && close()} aria-label="Find a symbol">
      <input
        type="search" placeholder="Symbol or venue, as btc kraken" value={words} onKeyDown={onKey} aria-label="Symbol or venue" role="combobox"
        aria-expanded="true" aria-controls="found" aria-activedescendant={`found-${at}`} autocomplete="off" spellcheck={false}
        onInput={(event) => (setWords(event.currentTarget.value), setAt(0))}
      />
      <ul id="found" role="listbox">
        {found.map((row, place) => (
          <li id={`found-${place}`} role="option" aria-selected={place === at} class={place === at ? "on" : ""} onClick={() => open(row)} onMouseMove={() => setAt(place)}>
            <b>{row[1]}</b> <span class="muted">{row[0]}</span>
          </li>
        ))}
        {found.length === 0 ? <li class="muted none">{symbols.data === null && symbols.error === null ? "Looking…" : "Nothing of that name is collected here."}</li> : null}
      </ul>
    </dialog>
  );
}

/** Pairs of venue and symbol in which every word is found. */
export function matching(symbols: Record<string, string[]>, words: string): [string, string][] {
  const wanted = words.toLowerCase().split(/\s+/).filter((one) => one !== "");
  return Object.entries(symbols)
    .flatMap(([venue, its]) => its.map((symbol): [string, string] => [venue, symbol]))
    .filter((row) => wanted.every((word) => `${row[0]} ${row[1]}`.toLowerCase().includes(word)))
    .sort((a, b) => a[1].localeCompare(b[1]));
}
