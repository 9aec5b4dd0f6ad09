// Server-sent events over fetch, which unlike EventSource takes a token, and in Node too; resumed where they broke off.

import { MarketDataError } from "./errors.js";
import { aborted, pause, pauseMs, type Asked, type Http } from "./http.js";

export interface ServerEvent {
  /** `message` unless the server says otherwise. */
  event: string;
  data: string;
  id: string;
}

/**
 * Events of a path for as long as the caller goes on: after every break from the last id on. Ends with its signal, in peace.
 * Throws MarketDataError for what trying again does not mend.
 */
export async function* follow(http: Http, path: string, asked: Asked = {}, lastId = ""): AsyncGenerator<ServerEvent> {
  let last = lastId;
  for (let attempt = 1; ; attempt++) {
    try {
      const headers = { Accept: "text/event-stream", ...(last === "" ? {} : { "Last-Event-ID": last }) };
      const response = await http.open(path, { ...asked, headers });
      if (!response.body) throw new MarketDataError("bad-answer", `${path}: an answer without a body`);
      for await (const one of parsed(response.body)) {
        attempt = 0;
        if (one.id !== "") last = one.id;
        yield one;
        if (asked.signal?.aborted) return;
      }
    } catch (error) {
      if (asked.signal?.aborted) return;
      const kind = error instanceof MarketDataError ? error.kind : "unreachable";
      if (kind !== "unreachable" && kind !== "try-later" && kind !== "server-failed") throw error;
    }
    if (asked.signal?.aborted) return;
    await pause(pauseMs(attempt + 1), asked.signal).catch((error: unknown) => {
      if (!asked.signal?.aborted) throw error;
    });
    if (asked.signal?.aborted) return;
  }
}

/** The events of one body. */
export async function* parsed(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerEvent> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  let next: ServerEvent = { event: "message", data: "", id: "" };
  let has = false;
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return; // an event without its blank line is none
      rest += decoder.decode(value, { stream: true });
      const lines = rest.split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop() ?? "";
      for (const line of lines) {
        if (line === "") {
          if (has) yield next;
          next = { event: "message", data: "", id: next.id };
          has = false;
          continue;
        }
        const [, name, value = ""] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
        if (name === "data") {
          next.data = has ? `${next.data}\n${value}` : value;
          has = true;
        } else if (name === "event") next.event = value;
        else if (name === "id") next.id = value;
      }
    }
  } finally {
    await reader.cancel().catch(() => aborted());
  }
}
