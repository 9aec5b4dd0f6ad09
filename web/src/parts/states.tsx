// What stands where data is to come: loading, nothing there, not here, gone wrong.

import type { ComponentChildren } from "preact";
import { useOverview } from "../overview";
import type { Polled } from "../polling";

export function Loading({ rows = 6 }: { rows?: number }) {
  return (
    <div class="loading" role="status" aria-label="Loading">
      {Array.from({ length: rows }, (_, at) => (
        <div class="skeleton" key={at} />
      ))}
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children === undefined ? null : <p class="muted">{children}</p>}
    </div>
  );
}

export function Failed({ error, retry }: { error: string; retry?: () => void }) {
  const { refused } = useOverview();
  if (refused) return <Empty title="Behind its token">It is shown as soon as the token is entered above.</Empty>;
  return (
    <div class="empty failed" role="alert">
      <p class="empty-title">This could not be loaded</p>
      <p class="muted">{error}</p>
      {retry === undefined ? null : (
        <button class="quiet" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}

/** The data once it is there; before that, or instead of it, why not. */
export function Shown<T>({
  polled, role, empty, rows, children,
}: {
  polled: Polled<T>;
  /** Which role brings it, for a process where it does not run; "" where it is always there. */
  role: string;
  empty?: (data: T) => ComponentChildren | null;
  rows?: number;
  children: (data: T) => ComponentChildren;
}) {
  if (polled.absent) {
    return <Empty title="Not in this process">The role {role} does not run here; another marketd of yours may have it.</Empty>;
  }
  if (polled.data === null) {
    return polled.error === null ? <Loading {...(rows === undefined ? {} : { rows })} /> : <Failed error={polled.error} retry={polled.reload} />;
  }
  return <>{empty?.(polled.data) ?? children(polled.data)}</>;
}
