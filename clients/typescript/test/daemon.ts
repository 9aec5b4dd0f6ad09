// A real marketd on simulated venues, for as long as a test file runs.

import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

const ROOT = rootOf(import.meta.dirname);
const READY_WITHIN_MS = 120_000;

/** The project, wherever the compiled test lies below it. */
function rootOf(path: string): string {
  return existsSync(join(path, "pyproject.toml")) ? path : rootOf(dirname(path));
}

export interface Daemon {
  url: string;
  token: string;
  dataDir: string;
  stop(): Promise<void>;
}

/** The interpreter of MARKETD_PYTHON, else that of the project's own environment. */
function python(): string {
  const own = join(ROOT, ".venv", "bin", "python");
  return process.env.MARKETD_PYTHON ?? (existsSync(own) ? own : "python3");
}

/** With a directory given, what is in it stays. */
export async function startDaemon(port = 0, dataDir?: string, more: readonly string[] = []): Promise<Daemon> {
  const owned = dataDir === undefined;
  const dir = dataDir ?? (await mkdtemp(join(tmpdir(), "marketd-client-")));
  const command = ["-m", "marketd", "demo", "--port", String(port), "--data-dir", dir, "--log-level", "error", ...more];
  const environment = { ...process.env, PYTHONPATH: join(ROOT, "src") };
  const child = spawn(python(), command, { env: environment, cwd: dir, stdio: ["ignore", "pipe", "inherit"] });
  const url = await address(child);
  const token = (await readFile(join(dir, "api-token"), "utf8")).trim();
  return {
    url,
    token,
    dataDir: dir,
    async stop() {
      child.kill("SIGTERM");
      if (child.exitCode === null) await once(child, "exit");
      if (owned) await rm(dir, { recursive: true, force: true });
    },
  };
}

function address(child: ChildProcess): Promise<string> {
  return new Promise((found, failed) => {
    let said = "";
    const late = setTimeout(() => failed(new Error(`marketd is not ready; it said: ${said}`)), READY_WITHIN_MS);
    child.once("exit", (code) => failed(new Error(`marketd ended with ${code}; it said: ${said}`)));
    child.stdout?.on("data", (bytes: Buffer) => {
      said += bytes.toString();
      const url = /open (http:\S+) in a browser/.exec(said)?.[1];
      if (url === undefined) return;
      clearTimeout(late);
      found(url);
    });
  });
}

/** The first answer that holds. */
export async function eventually<T>(ask: () => Promise<T>, holds: (found: T) => boolean, withinMs = 180_000): Promise<T> {
  const deadline = Date.now() + withinMs;
  for (;;) {
    const found = await ask();
    if (holds(found)) return found;
    if (Date.now() > deadline) throw new Error("did not come true in time");
    await new Promise((resume) => setTimeout(resume, 50));
  }
}
