// The world around a browser's test: simulated venues and Redis in a process of their own, daemons that can be killed, a page that is watched.

import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface, type Interface } from "node:readline";

import { chromium, type Browser, type BrowserContext, type Page } from "playwright-core";
import { eventually } from "../../clients/typescript/test/daemon.js";

const ROOT = rootOf(import.meta.dirname);
const PYTHON = process.env.MARKETD_PYTHON ?? (existsSync(join(ROOT, ".venv/bin/python")) ? join(ROOT, ".venv/bin/python") : "python3");
const ENVIRONMENT = { PATH: process.env.PATH ?? "", PYTHONPATH: `${join(ROOT, "src")}:${ROOT}`, NATS_URL: "nats://127.0.0.1:1", REDIS_URL: "redis://127.0.0.1:1/0" };
export const SHOTS = process.env.MARKETD_SCREENSHOTS ?? join(ROOT, "screenshots");
export const WITHIN_MS = 120_000;

function rootOf(path: string): string {
  return existsSync(join(path, "pyproject.toml")) ? path : rootOf(dirname(path));
}

type Line = Record<string, unknown>;

/** What tests/e2e/world.py runs, and what it is told. */
export class World {
  /** The variables that point marketd at it. */
  environ: Record<string, string> = {};
  private readonly answers: AsyncIterator<string>;

  private constructor(
    private readonly child: ChildProcess,
    private readonly lines: Interface,
  ) {
    this.answers = lines[Symbol.asyncIterator]();
  }

  static async open(...words: string[]): Promise<World> {
    const child = spawn(PYTHON, ["-m", "tests.e2e.world", ...words], { env: ENVIRONMENT, cwd: ROOT, stdio: ["pipe", "pipe", "inherit"] });
    const world = new World(child, createInterface({ input: child.stdout! }));
    world.environ = (await world.answer()) as Record<string, string>;
    return world;
  }

  async tell(line: Line): Promise<unknown> {
    this.child.stdin!.write(`${JSON.stringify(line)}\n`);
    return this.answer();
  }

  async close(): Promise<void> {
    this.child.stdin!.end();
    if (this.child.exitCode === null) await once(this.child, "exit");
    this.lines.close();
  }

  private async answer(): Promise<unknown> {
    const { done, value } = await this.answers.next();
    if (done === true) throw new Error("the world ended");
    return JSON.parse(value);
  }
}

/** `marketd run` with a data directory that stays, on a port that stays: it can be killed and started again. */
export class Program {
  private child: ChildProcess | null = null;
  /** Everything it said. */
  said = "";

  private constructor(
    readonly url: string,
    readonly home: string,
    private readonly words: readonly string[],
    private readonly environ: Record<string, string>,
  ) {}

  static async start(words: readonly string[], environ: Record<string, string>): Promise<Program> {
    const port = await freePort();
    const home = await mkdtemp(join(tmpdir(), "marketd-e2e-"));
    const program = new Program(`http://127.0.0.1:${port}`, home, words, { ...environ, HTTP_PORT: String(port) });
    await program.begin();
    return program;
  }

  /** Until it answers. */
  async begin(): Promise<void> {
    const environ = { ...ENVIRONMENT, MARKETD_DATA_DIR: this.home, MARKETD_LOG_FORMAT: "json", ...this.environ };
    const child = spawn(PYTHON, ["-m", "marketd", "run", ...this.words], { env: environ, cwd: this.home, stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (bytes: Buffer) => (this.said += bytes.toString()));
    this.child = child;
    const answers = async (): Promise<boolean> => {
      if (child.exitCode !== null) throw new Error(`marketd ended with ${child.exitCode}: ${this.said.slice(-2000)}`);
      return fetch(`${this.url}/livez`).then((found) => found.ok, () => false);
    };
    await eventually(answers, (well) => well, WITHIN_MS);
  }

  /** As `kill -9` does. */
  async kill(): Promise<void> {
    this.child?.kill("SIGKILL");
    await this.ended();
  }

  async end(): Promise<void> {
    this.child?.kill("SIGTERM");
    await this.ended();
    await rm(this.home, { recursive: true, force: true });
  }

  async token(): Promise<string> {
    return (await readFile(join(this.home, "api-token"), "utf8")).trim();
  }

  async ask<T>(path: string, token?: string): Promise<T> {
    const answer = await fetch(this.url + path, token === undefined ? {} : { headers: { Authorization: `Bearer ${token}` } });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return (await answer.json()) as T;
  }

  private async ended(): Promise<void> {
    if (this.child !== null && this.child.exitCode === null && this.child.signalCode === null) await once(this.child, "exit");
    this.child = null;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

export function openBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
}

/** What a page said and asked while it was looked at. */
export interface Watched {
  page: Page;
  /** Errors and warnings of its console, and its own mistakes. */
  console: string[];
  /** Every address it asked for, sockets too. */
  asked: string[];
}

export async function watch(context: BrowserContext): Promise<Watched> {
  const page = await context.newPage();
  page.setDefaultTimeout(WITHIN_MS);
  const found: Watched = { page, console: [], asked: [] };
  page.on("console", (said) => {
    if (said.type() === "error" || said.type() === "warning") found.console.push(`${said.text()} (${said.location().url})`);
  });
  page.on("pageerror", (error) => found.console.push(`mistake: ${error.message}`));
  page.on("request", (request) => found.asked.push(request.url()));
  page.on("websocket", (socket) => found.asked.push(socket.url()));
  return found;
}

/** A measured figure; `make e2e` shows all of them at its end. */
export function figure(name: string, values: readonly number[], unit: string): void {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): string => (sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN).toFixed(0);
  const shown = sorted.length === 1 ? `${at(0)} ${unit}` : `p50 ${at(0.5)} ${unit}, p95 ${at(0.95)} ${unit}, most ${at(1)} ${unit} of ${sorted.length}`;
  console.log(`figure: ${name}: ${shown}`);
}
