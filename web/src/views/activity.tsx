// Redis Activity: the message log, live, filtered as the API filters it.

import { MarketDataError, type Logged, type LogQuery } from "marketd-client";
import { useEffect, useRef, useState } from "preact/hooks";
import { clock, count } from "../format";
import { useKeys } from "../keys";
import { usePart } from "../overview";
import { Section } from "../parts/pieces";
import { Empty, Failed, Loading } from "../parts/states";
import { client, wordsOf } from "../server";

const KEPT = 300;
const PAINT_MS = 150;
const TYPES = ["publish", "cache_write", "cache_read", "signal", "trade", "error"] as const;
const SOURCES = ["market-data", "ta-service", "dashboard", "trader-bot"] as const;

type Phase = "loading" | "live" | "waiting" | "absent" | "failed";

export function Activity() {
  const [type, setType] = useState("");
  const [source, setSource] = useState("");
  const [channel, setChannel] = useState("");
  const [entries, setEntries] = useState<Logged[]>([]);
  const [phase, setPhase] = useState<Phase>("loading");
  const [words, setWords] = useState("");
  const [held, setHeld] = useState(false);
  const [round, setRound] = useState(0);
  const waiting = useRef<Logged[]>([]);
  const holds = useRef(false);
  holds.current = held;
  const asked = channel.trim();

  const part = usePart(["message_log"]);

  useEffect(() => {
    if (part.state !== "here") {
      setPhase(part.state === "unknown" ? "loading" : part.state === "absent" ? "absent" : "failed");
      setWords(part.reason);
      return;
    }
    const stop = new AbortController();
    setPhase("loading");
    setEntries([]);
    waiting.current = [];
    const query: LogQuery = {
      ...(type === "" ? {} : { type: type as NonNullable<LogQuery["type"]> }),
      ...(source === "" ? {} : { source: source as NonNullable<LogQuery["source"]> }),
      ...(asked === "" ? {} : { channel: asked }),
    };
    const timer = setTimeout(() => void follow(), asked === "" ? 0 : 300); // not at every letter
    let painting: ReturnType<typeof setTimeout> | undefined;
    let paintedAt = 0;
    const paint = (): void => {
      painting = undefined;
      paintedAt = performance.now();
      if (holds.current || stop.signal.aborted) return;
      const fresh = waiting.current.reverse();
      waiting.current = [];
      setEntries((known) => [...fresh, ...known].slice(0, KEPT));
    };
    const follow = async (): Promise<void> => {
      try {
        // What is logged while the page is asked for comes with what follows: that begins at the entry that was the newest before.
        const newest = await client.messageLog({ limit: 1 }, stop.signal);
        const page = await client.messageLog({ ...query, limit: 100 }, stop.signal);
        setEntries(page.rows);
        setPhase("live");
        const lastId = page.rows[0]?.id ?? newest.rows[0]?.id;
        for await (const one of client.followMessageLog({ ...query, ...(lastId === undefined ? {} : { lastId }), signal: stop.signal })) {
          if (!("entry" in one)) continue;
          waiting.current = [...waiting.current, one.entry].slice(-KEPT);
          // The first of many is shown at once, the others together a moment later.
          painting ??= setTimeout(paint, Math.max(0, paintedAt + PAINT_MS - performance.now()));
        }
      } catch (error) {
        if (stop.signal.aborted) return;
        const absent = error instanceof MarketDataError && error.kind === "not-found";
        setPhase(absent ? "absent" : "failed");
        setWords(wordsOf(error));
        if (!absent) painting = setTimeout(() => setRound((known) => known + 1), 3000);
      }
    };
    return () => {
      stop.abort();
      clearTimeout(timer);
      clearTimeout(painting);
    };
  }, [type, source, asked, round, part.state]);

  const hold = (): void => {
    if (held) {
      const fresh = waiting.current.reverse();
      waiting.current = [];
      setEntries((known) => [...fresh, ...known].slice(0, KEPT));
    }
    setHeld(!held);
  };
  useKeys({ p: hold });

  return (
    <Section
      id="redis-activity"
      title="Redis Activity"
      aside={
        <div class="filters">
          <select aria-label="Type" value={type} onChange={(event) => setType(event.currentTarget.value)}>
            <option value="">every type</option>
            {TYPES.map((one) => <option value={one}>{one}</option>)}
          </select>
          <select aria-label="Source" value={source} onChange={(event) => setSource(event.currentTarget.value)}>
            <option value="">every source</option>
            {SOURCES.map((one) => <option value={one}>{one}</option>)}
          </select>
          <input type="search" aria-label="Channel or key" placeholder="channel or key" value={channel} spellcheck={false} onInput={(event) => setChannel(event.currentTarget.value)} />
          <button class={`quiet ${held ? "on" : ""}`} aria-pressed={held} onClick={hold} title="Hold (p)">{held ? "Go on" : "Hold"}</button>
          <span class={`dot ${phase === "live" && !held ? "ok pulse" : phase === "failed" ? "bad" : "off"}`} title={held ? "held" : phase} />
        </div>
      }
    >
      {phase === "absent" ? (
        <Empty title="Not in this process">The message log is where the roles cache, scanner, ta or trader run.</Empty>
      ) : phase === "failed" ? (
        <Failed error={words} />
      ) : phase === "loading" ? (
        <Loading rows={5} />
      ) : entries.length === 0 ? (
        <Empty title="Nothing like that yet">Entries appear here within a second of being logged.</Empty>
      ) : (
        <div class="scroll activity" tabIndex={0} aria-label="Entries, newest first">
          <table class="grid">
            <thead>
              <tr><th>Time</th><th>Type</th><th>Source</th><th class="phone-hide">Channel or key</th><th>What</th><th class="n phone-hide">Bytes</th></tr>
            </thead>
            <tbody>
              {entries.map((one) => (
                <tr key={one.id} data-id={one.id}>
                  <td class="mono muted">{clock(one.timestamp)}</td>
                  <td><span class={`kind ${one.type}`}>{one.type}</span></td>
                  <td>{one.source}</td>
                  <td class="mono phone-hide">
                    <button class="link" title="Only this one" onClick={() => setChannel(one.channel)}>{one.channel}</button>
                  </td>
                  <td class="what">{one.summary}</td>
                  <td class="n muted phone-hide">{count(one.payload_size)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Section>
  );
}
