// The account of the paper trader: what it holds, how it fared, what it did. Nothing here ever went to a venue.

import type { Answers } from "marketd-client";
import { Curve, points, type Point } from "../charts/curve";
import { count, moment, price, size } from "../format";
import { Badge, Section, Stat } from "../parts/pieces";
import { Empty, Shown } from "../parts/states";
import { usePolled } from "../polling";
import { linkTo } from "../router";
import { client } from "../server";

type Account = Answers["GET /paper"];
type Position = Answers["GET /paper/positions"][number];

export function Paper() {
  const account = usePolled((signal) => client.get("/paper", {}, signal), 3000, [], ["trader"]);
  const positions = usePolled((signal) => client.get("/paper/positions", {}, signal), 3000, [], ["trader"]);
  const equity = usePolled((signal) => points(signal), 15_000, [], ["trader"]);
  const fills = usePolled(async (signal) => (await client.list("/paper/fills", { limit: 100 }, signal)).rows, 5000, [], ["trader"]);
  const orders = usePolled(async (signal) => (await client.list("/paper/orders", { limit: 100 }, signal)).rows, 5000, [], ["trader"]);
  return (
    <div class="page">
      <div class="bar-row">
        <h1>Paper</h1>
        <span class="tag strong-tag">on paper only</span>
        <span class="muted grow-right">{account.data === null ? "" : `${account.data.book} · ${account.data.timeframe} · ${account.data.state}`}</span>
      </div>
      <Shown polled={account} role="trader" rows={5}>
        {(found) => (
          <>
            <Figures account={found} />
            <Section title="Equity" aside={<span class="muted">at each close of {found.timeframe}, and now</span>}>
              <Shown polled={equity} role="trader" rows={5} empty={(known) => (withNow(known, found).length < 2 ? <Empty title="No curve yet">A point is added at each close of a {found.timeframe} candle.</Empty> : null)}>
                {(known) => <Curve points={withNow(known, found)} start={Number(found.start)} />}
              </Shown>
            </Section>
            <Section title="Positions">
              <Shown polled={positions} role="trader" rows={3} empty={(rows) => (rows.length === 0 ? <Empty title="Nothing is held">A position opens when a signal comes that the rules allow.</Empty> : null)}>
                {(rows) => <Positions rows={rows} />}
              </Shown>
            </Section>
            <div class="columns">
              <Section title="Fills">
                <Shown polled={fills} role="trader" rows={3} empty={(rows) => (rows.length === 0 ? <Empty title="Nothing was traded yet" /> : null)}>
                  {(rows) => (
                    <div class="scroll tall">
                      <table class="grid">
                        <thead><tr><th>Time</th><th>Symbol</th><th>Side</th><th class="n">Price</th><th class="n">Size</th><th class="n">Fee</th><th>Why</th></tr></thead>
                        <tbody>
                          {rows.map((one) => (
                            <tr key={String(one.seq)}>
                              <td class="mono muted">{moment(one.ts)}</td>
                              <td><a href={linkTo("chart", one.provider, one.symbol)}>{one.symbol}</a></td>
                              <td><span class={`way ${one.side}`}>{one.side}</span></td>
                              <td class="n">{price(one.price)}</td>
                              <td class="n">{size(one.size)}</td>
                              <td class="n muted">{money(one.fee)}</td>
                              <td class="muted">{one.why.replace("_", " ")}</td>
                            </tr>
                          ))}
                        </tbody>
                      </table>
                    </div>
                  )}
                </Shown>
              </Section>
              <Section title="Decisions">
                <Shown polled={orders} role="trader" rows={3} empty={(rows) => (rows.length === 0 ? <Empty title="Nothing was decided yet" /> : null)}>
                  {(rows) => (
                    <ul class="lines">
                      {rows.map((one) => (
                        <li key={String(one.seq)}>
                          <time>{moment(one.ts)}</time> <b>{one.symbol}</b> <span class={`way ${one.side}`}>{one.side}</span>{" "}
                          {one.refusal === null ? <Badge state="ok">filled</Badge> : <Badge state="standby">{one.refusal.replace("_", " ")}</Badge>} <span class="part-reason">{one.detail}</span>
                        </li>
                      ))}
                    </ul>
                  )}
                </Shown>
              </Section>
            </div>
          </>
        )}
      </Shown>
    </div>
  );
}

/** The account as it is now is the last point, as soon as it stands on newer prices than the last close. */
function withNow(known: readonly Point[], account: Account): Point[] {
  const last = known.at(-1);
  const now = { ts: new Date().toISOString(), equity: account.equity };
  return last === undefined || last.equity === account.equity ? [...known] : [...known, now];
}

function Figures({ account }: { account: Account }) {
  const profit = Number(account.profit);
  const way = (text: string): string => (Number(text) > 0 ? "up" : Number(text) < 0 ? "down" : "");
  const share = (100 * profit) / Number(account.start);
  return (
    <div class="stats">
      <Stat name="Equity" value={money(account.equity)} note={`began with ${money(account.start)}`} />
      <Stat name="Profit" value={signed(account.profit)} kind={way(account.profit)} note={`${share >= 0 ? "+" : ""}${share.toFixed(2)} %`} />
      <Stat name="Realised" value={signed(account.realised)} kind={way(account.realised)} note="before fees" />
      <Stat name="Unrealised" value={signed(account.unrealised)} kind={way(account.unrealised)} note={`${account.open} open`} />
      <Stat name="Fees" value={money(account.fees)} note={`${count(account.fills)} fills of ${count(account.orders)} decisions`} />
      <Stat name="Cash" value={money(account.cash)} />
    </div>
  );
}

function Positions({ rows }: { rows: Position[] }) {
  return (
    <div class="scroll">
      <table class="grid">
        <thead>
          <tr><th>Symbol</th><th>Side</th><th class="n">Unrealised</th><th class="n">Now</th><th class="n">Opened at</th><th class="n">Size</th><th class="n">Stop</th><th class="n">Take profit</th><th class="n">Opened</th></tr>
        </thead>
        <tbody>
          {rows.map((one) => (
            <tr key={one.symbol}>
              <td><a class="strong" href={linkTo("chart", one.provider, one.symbol)}>{one.symbol}</a> <span class="muted">{one.provider}</span></td>
              <td><span class={`way ${one.side}`}>{one.side}</span></td>
              <td class={`n ${Number(one.unrealised) >= 0 ? "up" : "down"}`}>{signed(one.unrealised)}</td>
              <td class="n strong">{price(one.mark)}</td>
              <td class="n">{price(one.price)}</td>
              <td class="n">{size(one.size)}</td>
              <td class="n muted">{price(one.stop)}</td>
              <td class="n muted">{price(one.take_profit)}</td>
              <td class="n muted">{moment(one.opened)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function money(text: string): string {
  return Number(text).toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
}

function signed(text: string): string {
  return `${Number(text) > 0 ? "+" : ""}${money(text)}`;
}
