// The token, asked for in a dialog when it is needed for the first time.

import { render } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { setToken } from "../server";

/** False: the person thought better. */
export function askForToken(what: string, wrong: boolean): Promise<boolean> {
  const host = document.createElement("div");
  document.body.append(host);
  return new Promise((resolve) => {
    const done = (given: boolean): void => {
      render(null, host);
      host.remove();
      resolve(given);
    };
    render(<TokenDialog what={what} wrong={wrong} done={done} />, host);
  });
}

function TokenDialog({ what, wrong, done }: { what: string; wrong: boolean; done: (given: boolean) => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const token = useRef<HTMLInputElement>(null);
  const remember = useRef<HTMLInputElement>(null);
  useEffect(() => {
    dialog.current?.showModal();
    token.current?.focus();
  }, []);
  const submit = (event: Event): void => {
    event.preventDefault();
    const given = token.current?.value.trim() ?? "";
    if (given === "") return;
    setToken(given, remember.current?.checked ?? false);
    done(true);
  };
  return (
    <dialog ref={dialog} class="dialog" onCancel={() => done(false)} aria-labelledby="token-title">
      <form method="dialog" onSubmit={submit}>
        <h2 id="token-title">{what}</h2>
        {wrong ? <p class="bad">That token was not accepted.</p> : null}
        <p class="muted">
          This needs the token of this daemon: the value of <code>MARKETD_API_TOKEN</code>, or else the file <code>api-token</code> in its
          data directory.
        </p>
        <label class="field">
          Token
          <input ref={token} type="password" autocomplete="off" spellcheck={false} required />
        </label>
        <label class="check">
          <input ref={remember} type="checkbox" /> Remember it on this device
        </label>
        <div class="buttons">
          <button type="button" class="quiet" onClick={() => done(false)}>
            Cancel
          </button>
          <button type="submit">Go on</button>
        </div>
      </form>
    </dialog>
  );
}
