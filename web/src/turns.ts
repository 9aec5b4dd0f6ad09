// Requests of which a view makes many wait for each other: a daemon has other things to do than to draw our map.

const AT_ONCE = 3;
let running = 0;
const waiting: (() => void)[] = [];

/** Works as soon as fewer than three others of its kind do; what was aborted meanwhile is not begun. */
export async function inTurn<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  if (running >= AT_ONCE) await new Promise<void>((go) => waiting.push(go));
  running++;
  try {
    signal.throwIfAborted();
    return await work();
  } finally {
    running--;
    waiting.shift()?.();
  }
}
