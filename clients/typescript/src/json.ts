// JSON without loss: integers that a double does not hold come as bigint. JSON.parse rounds them without a word.

import { WIDE } from "./schema.js";

export type Json = null | boolean | number | bigint | string | Json[] | { [name: string]: Json };

/**
 * Parses JSON. Integers under the names in WIDE (times in ns, sequence numbers) are always bigint, so that their kind
 * does not change with their size; any other integer is one only where a double would round it. Throws SyntaxError.
 */
export function parseJson(text: string): Json {
  const reader = new Reader(text);
  return reader.whole();
}

/** Writes JSON, with bigints as the numbers they are. */
export function writeJson(value: unknown): string {
  if (typeof value === "bigint") return value.toString();
  if (Array.isArray(value)) return `[${value.map((one) => writeJson(one ?? null)).join(",")}]`;
  if (typeof value === "object" && value !== null) {
    const known = Object.entries(value).filter(([, one]) => one !== undefined);
    return `{${known.map(([name, one]) => `${JSON.stringify(name)}:${writeJson(one)}`).join(",")}}`;
  }
  return JSON.stringify(value) ?? "null";
}

const QUOTE = 34;
const COMMA = 44;
const COLON = 58;
const OPEN_LIST = 91;
const BACKSLASH = 92;
const CLOSE_LIST = 93;
const OPEN = 123;
const CLOSE = 125;
const DEPTH_MAX = 500;
const NUMBER = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y;

class Reader {
  private at = 0;
  private depth = 0;

  constructor(private readonly text: string) {}

  whole(): Json {
    const value = this.value(false);
    this.space();
    if (this.at < this.text.length) this.fail("nothing more");
    return value;
  }

  private value(wide: boolean): Json {
    this.space();
    switch (this.text.charCodeAt(this.at)) {
      case QUOTE:
        return this.string();
      case OPEN:
        return this.object();
      case OPEN_LIST:
        return this.list();
      case 116:
        return this.word("true", true);
      case 102:
        return this.word("false", false);
      case 110:
        return this.word("null", null);
      default:
        return this.number(wide);
    }
  }

  private object(): Json {
    const found: { [name: string]: Json } = {};
    this.enter();
    if (this.takes(CLOSE)) return this.leave(found);
    do {
      this.space();
      if (this.text.charCodeAt(this.at) !== QUOTE) this.fail("a name in quotes");
      const name = this.string();
      if (!this.takes(COLON)) this.fail("a colon");
      const value = this.value(WIDE.has(name));
      if (name === "__proto__") Object.defineProperty(found, name, { value, enumerable: true, configurable: true, writable: true });
      else found[name] = value;
    } while (this.takes(COMMA));
    if (!this.takes(CLOSE)) this.fail("a comma or }");
    return this.leave(found);
  }

  private list(): Json {
    const found: Json[] = [];
    this.enter();
    if (this.takes(CLOSE_LIST)) return this.leave(found);
    do found.push(this.value(false));
    while (this.takes(COMMA));
    if (!this.takes(CLOSE_LIST)) this.fail("a comma or ]");
    return this.leave(found);
  }

  private string(): string {
    const start = this.at;
    let escaped = false;
    for (let at = start + 1; at < this.text.length; at++) {
      const code = this.text.charCodeAt(at);
      if (code === QUOTE) {
        this.at = at + 1;
        if (escaped) return JSON.parse(this.text.slice(start, this.at)) as string;
        return this.text.slice(start + 1, at);
      }
      if (code < 32) break;
      if (code === BACKSLASH) {
        escaped = true;
        at++;
      }
    }
    this.fail("the end of a string");
  }

  private number(wide: boolean): number | bigint {
    NUMBER.lastIndex = this.at;
    const found = NUMBER.exec(this.text);
    if (found === null) this.fail("a value");
    const text = found[0];
    this.at += text.length;
    const isWhole = found[1] === undefined && found[2] === undefined;
    if (!isWhole) return Number(text);
    const value = Number(text);
    return wide || !Number.isSafeInteger(value) ? BigInt(text) : value;
  }

  private word<T extends boolean | null>(word: string, value: T): T {
    if (!this.text.startsWith(word, this.at)) this.fail("a value");
    this.at += word.length;
    return value;
  }

  private takes(code: number): boolean {
    this.space();
    if (this.text.charCodeAt(this.at) !== code) return false;
    this.at++;
    return true;
  }

  private space(): void {
    for (;;) {
      const code = this.text.charCodeAt(this.at);
      if (code !== 32 && code !== 10 && code !== 13 && code !== 9) return;
      this.at++;
    }
  }

  private enter(): void {
    this.at++;
    if (++this.depth > DEPTH_MAX) this.fail(`at most ${DEPTH_MAX} levels`);
  }

  private leave<T>(value: T): T {
    this.depth--;
    return value;
  }

  private fail(expected: string): never {
    const found = this.at < this.text.length ? JSON.stringify(this.text.slice(this.at, this.at + 20)) : "the end";
    throw new SyntaxError(`JSON: expected ${expected} at ${this.at}, found ${found}`);
  }
}
