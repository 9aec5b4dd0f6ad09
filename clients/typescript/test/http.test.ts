import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";

import { follow, MarketDataClient, MarketDataError } from "../src/index.js";

/** A server of one test, whose answers the test writes. */
async function serving<T>(answer: RequestListener, work: (url: string) => Promise<T>): Promise<T> {
  const server = createServer(answer).listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    return await work(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const isError = (kind: string) => (error: unknown) => error instanceof MarketDataError && error.kind === kind;

test("what passes is tried again", async () => {
  let asked = 0;
  const answer: RequestListener = (_, response) => {
    asked += 1;
    if (asked < 3) response.writeHead(503, { "Retry-After": "0.01" }).end('{"error":"not now"}');
    else response.end('{"count":0,"pairs":[]}');
  };
  const found = await serving(answer, (url) => new MarketDataClient({ baseUrl: url }).get("/pairs", {}));

  assert.deepEqual(found, { count: 0, pairs: [] });
  assert.equal(asked, 3);
});

test("an error says what is wrong, which parameter, and what it may be", async () => {
  const answer: RequestListener = (_, response) =>
    response.writeHead(404).end('{"error":"no such symbol","parameter":"symbol","allowed":["BTCUSDT"]}');
  const asked = serving(answer, (url) => new MarketDataClient({ baseUrl: url }).latest("NOPE"));

  await assert.rejects(asked, (error: MarketDataError) => {
    assert.deepEqual([error.kind, error.status, error.parameter, error.allowed], ["not-found", 404, "symbol", ["BTCUSDT"]]);
    return true;
  });
});

test("another program at that address is a bad answer", async () => {
  const asked = serving((_, response) => response.end("<html>"), (url) => new MarketDataClient({ baseUrl: url }).status());

  await assert.rejects(asked, isError("bad-answer"));
});

test("nobody there is unreachable, after every attempt", async () => {
  const url = await serving(() => undefined, async (known) => known);

  await assert.rejects(new MarketDataClient({ baseUrl: url, attempts: 2 }).status(), isError("unreachable"));
});

test("silence ends in time", async () => {
  const asked = serving(() => undefined, (url) =>
    new MarketDataClient({ baseUrl: url, attempts: 1, timeoutMs: 50 }).status(),
  );

  await assert.rejects(asked, /no answer within 50 ms/);
});

test("the caller can stop, also while it waits to try again", async () => {
  const stop = new AbortController();
  const answer: RequestListener = (_, response) => {
    response.writeHead(503, { "Retry-After": "60" }).end("{}");
    stop.abort();
  };
  const asked = serving(answer, (url) => new MarketDataClient({ baseUrl: url }).get("/pairs", {}, stop.signal));

  await assert.rejects(asked, isError("aborted"));
});

test("an address without a scheme is said at once", () => {
  assert.throws(() => new MarketDataClient({ baseUrl: "localhost:8100" }), isError("bad-request"));
});

test("the token goes along, and a refusal is not tried again", async () => {
  const seen: (string | undefined)[] = [];
  const answer: RequestListener = (request, response) => {
    seen.push(request.headers.authorization);
    response.writeHead(401).end('{"error":"a token is needed"}');
  };
  const asked = serving(answer, (url) => new MarketDataClient({ baseUrl: url, token: "abc" }).status());

  await assert.rejects(asked, isError("not-allowed"));
  assert.deepEqual(seen, ["Bearer abc"]);
});

test("server-sent events go on after a break from the last id", async () => {
  const asked: (string | undefined)[] = [];
  const answer: RequestListener = (request, response) => {
    asked.push(request.headers["last-event-id"] as string | undefined);
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.write(`retry: 10\n\n: quiet\n\nid: ${asked.length}\ndata: one\ndata: two\r\n\r\nid: 9\ndata: torn`);
    setTimeout(() => response.destroy(), 10);
  };
  const found: string[] = [];
  const stop = new AbortController();
  await serving(answer, async (url) => {
    for await (const one of follow(new MarketDataClient({ baseUrl: url }).http, "/events", { signal: stop.signal })) {
      found.push(one.data);
      if (found.length === 2) stop.abort();
    }
  });

  assert.deepEqual(found, ["one\ntwo", "one\ntwo"]);
  assert.deepEqual(asked, [undefined, "1"]);
});
