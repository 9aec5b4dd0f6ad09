"""The feature engine: events in, features, signals and alerts out. Pure; the same events give the same on replay.

`take` every event in the order it comes, then `drain` what was found; `due` says whose features are to be published now.
All arithmetic is by event time; only `due` and `pressed` are told the time of day.
"""

from collections.abc import Iterable, Sequence

from marketd.analysis.doubts import Doubts
from marketd.analysis.payloads import Alert, AlertKind, Features, Line, Quality, Signal
from marketd.analysis.rules import Alerts, Edge, Rule, calm_returns, rules_of
from marketd.analysis.section import FeaturesConfig
from marketd.analysis.windows import NEVER, SECOND, Window
from marketd.model.events import SYSTEM, Event, Gap, Quote, Share, Status, Trade

PRIMARY = "primary"
LOOK_NS = SECOND  # event time between two looks at the latency


class State:
    """What is known of one symbol."""

    __slots__ = (
        "doubts", "edges", "is_called", "is_new", "is_past", "look_at", "next_ns", "switched_from", "symbol", "venue", "window",
    )  # fmt: skip

    def __init__(self, symbol: str, venue: str, window_ns: int, rules: int) -> None:
        self.symbol, self.venue = symbol, venue
        self.window, self.doubts = Window(window_ns), Doubts()
        self.edges = [Edge() for _ in range(rules)]
        self.switched_from: str | None = None
        self.look_at = 0  # event time of the next look at the latency
        self.is_called = False  # its venue was named for this symbol alone: no better one takes it over by itself
        self.is_past = False  # its past is being read again: say nothing
        self.is_new = False  # something came since the last publication
        self.next_ns = 0  # not to be published before


class Engine:
    """The features of every symbol, each from one venue at a time.

    `venues` are in order of preference: an event of a better one takes a symbol over. Without them the first venue that
    speaks of a symbol has it. A `switched` status moves what the one venue had to the other. `drain` after every batch:
    what was found is kept until then.
    """

    def __init__(self, config: FeaturesConfig, venues: Sequence[str] = ()) -> None:
        self.config = config
        self.rules: tuple[Rule, ...] = rules_of(config)
        self._calm = calm_returns(self.rules)
        self.untracked = 0  # events of symbols beyond symbols_max
        self.evicted = 0  # symbols that made room for others
        self.others = 0  # trades and quotes of venues that do not have the symbol
        self._window_ns = int(config.window_s * SECOND)
        self._cooldown_ns = int(config.signal_cooldown_s * SECOND)
        self._pause_ns = int(SECOND / config.rate_hz_max)
        self._alerts = Alerts(config.alert_cooldown_s)
        self._ranks = {venue: rank for rank, venue in enumerate(venues)}
        self._states: dict[str, State] = {}
        self._gone: list[str] = []  # evicted and not told yet
        self._silent: list[tuple[int, str]] = []  # event time of the newest event, symbol: when it was last looked, oldest last
        self._full_until = NEVER  # event time: before, no symbol can be evicted
        self._past: set[str] = set()  # symbols whose past is being read, also those of which nothing came yet
        self._stand_in: dict[str, str] = {}  # venue that is away -> the one in its place
        self._called: str | None = None  # took over from a venue that we do not know
        self._new: list[State] = []
        self._found: list[Signal | Alert] = []

    # In

    def take(self, event: Event) -> None:
        """In the order in which they come. Of no use to us: books, candles, heartbeats."""
        self.take_all((event,))

    def take_all(self, events: Iterable[Event]) -> None:
        """The same for many at once, which costs less."""
        states, calm = self._states, self._calm
        for event in events:
            kind = event.__class__
            if kind is not Trade and kind is not Quote:
                if kind is Gap or kind is Status or kind is Share:
                    self._on_control(event)  # type: ignore[arg-type]
                continue
            state = states.get(event.symbol)
            if state is None or state.venue != event.venue:
                state = self._admit(event)
                if state is None:
                    continue
            window = state.window
            if kind is Quote:
                if not window.add_quote(event):  # type: ignore[arg-type]
                    continue
            elif not window.add_trade(event):  # type: ignore[arg-type]
                continue
            elif state.doubts.is_down and not event.repaired:  # type: ignore[attr-defined]
                state.doubts.up(window.now)
            if not state.is_new:
                state.is_new = True
                self._new.append(state)
            if calm is None:
                self._judge(state)
            else:
                change = window.change()
                if change is not None and not calm[0] < change < calm[1]:
                    self._judge(state)
            if window.now >= state.look_at:
                self._look(state)

    def taint(self, cause: str, symbols: Iterable[str] | None = None) -> None:
        """Events were lost on their way to us: the windows of these symbols (default: all) are touched by a gap."""
        for symbol in list(self._states) if symbols is None else symbols:
            state = self._states.get(symbol)
            if state is not None:
                state.doubts.add(state.window.now, cause)
                self._alert_gap(state, cause)
                self._renew(state)

    def pressed(self, fill: float, now_ns: int, name: str = "events") -> None:
        """How full the queue before us is: from `alert_fill` on that is an alert."""
        if fill >= self.config.alert_fill:
            self._alert("backpressure", SYSTEM, now_ns, f"the queue of {name} is {fill:.0%} full")

    def forget(self, symbols: Iterable[str]) -> None:
        for symbol in symbols:
            self._past.discard(symbol)
            self._alerts.forget(symbol)
            state = self._states.pop(symbol, None)
            if state is not None and state.is_new:
                self._new.remove(state)

    # Out

    @property
    def symbols(self) -> list[str]:
        """Those that something is known of."""
        return list(self._states)

    def features(self, symbol: str) -> Features | None:
        """As of the newest event of the symbol; None before the first one."""
        state = self._states.get(symbol)
        if state is None:
            return None
        window = state.window
        return Features(symbol, state.venue, window.now, window.values(), self._quality(state))

    def latest(self, symbol: str) -> tuple[str, Trade | None, Quote | None] | None:
        """The symbol's venue and its newest trade and quote."""
        state = self._states.get(symbol)
        return None if state is None else (state.venue, state.window.trade, state.window.quote)

    def drain(self) -> list[Signal | Alert]:
        """The signals and alerts since the last time, in order."""
        found, self._found = self._found, []
        return found

    def gone(self) -> list[str]:
        """The symbols evicted since the last time."""
        gone, self._gone = self._gone, []
        return gone

    def due(self, now_ns: int) -> list[str]:
        """The symbols whose features are to be published now: of which something came, and that were not within the pause.

        They count as published. A symbol stays due until it was returned, so the latest value always comes last.
        """
        due, waiting = [], []
        for state in self._new:
            if state.is_past:
                waiting.append(state)
            elif state.next_ns <= now_ns or state.next_ns > now_ns + self._pause_ns + SECOND:  # the clock was set back
                state.next_ns, state.is_new = now_ns + self._pause_ns, False
                due.append(state.symbol)
            else:
                waiting.append(state)
        self._new = waiting
        return due

    def next_due_ns(self) -> int | None:
        """When `due` will have something to say, if nothing comes; None: not before something comes."""
        return min((state.next_ns for state in self._new if not state.is_past), default=None)

    # Which venue

    def _admit(self, event: Event) -> State | None:
        """The state that takes this event, if its venue is the one that has, or now gets, the symbol."""
        symbol, venue, wanted = event.symbol, event.venue, self.config.provider
        if (venue != wanted) if wanted != PRIMARY else (venue in self._stand_in):
            self.others += 1
            return None
        state = self._states.get(symbol)
        if state is None:
            if len(self._states) >= self.config.symbols_max and not self._make_room(event):
                self.untracked += 1
                return None
            state = self._states[symbol] = State(symbol, venue, self._window_ns, len(self.rules))
            state.is_past = symbol in self._past
            return state
        if venue == self._called or (self._is_better(venue, state.venue) and not state.is_called):
            self._switch(state, venue)
            return state
        self.others += 1
        return None

    def _make_room(self, event: Event) -> bool:
        """Evict the symbol that was silent longest, if its window is past: else invented symbols would keep real ones out."""
        t = event.ts_recv if event.ts_event is None else min(event.ts_event, event.ts_recv)
        if t < self._full_until:
            return False
        for _ in range(2):
            while self._silent:
                newest, symbol = self._silent.pop()
                state = self._states.get(symbol)
                if state is None or state.is_past or state.window.now != newest:
                    continue
                if newest > t - self._window_ns:
                    self._full_until = newest + self._window_ns
                    self._silent.clear()
                    return False
                self.forget((symbol,))
                self.evicted += 1
                self._gone.append(symbol)
                return True
            self._silent = sorted(((state.window.now, symbol) for symbol, state in self._states.items()), reverse=True)
        return False

    def _is_better(self, venue: str, other: str) -> bool:
        last = len(self._ranks)
        return self._ranks.get(venue, last) < self._ranks.get(other, last) and other not in self._stand_in.values()

    def _switch(self, state: State, venue: str) -> None:
        state.switched_from, state.venue = state.venue, venue
        state.window.clear()
        state.doubts = Doubts()
        state.look_at = 0
        self._renew(state)

    def _on_switched(self, status: Status) -> None:
        """`status.venue` is active now. In whose place: a stand-in's reason begins with the name of the one that is away.

        Said of one symbol it concerns that one alone: partitions are read at different paces, and from their past.
        """
        venue = status.venue
        if status.symbol != SYSTEM:
            state = self._states.get(status.symbol)
            if state is not None:
                state.is_called = True
                if state.venue != venue:
                    self._switch(state, venue)
            return
        away = status.reason.partition(":")[0].strip()
        stand_in = self._stand_in.pop(venue, None)  # it is back, if it was away
        if stand_in is not None:
            left = stand_in
        elif away and away != venue and any(state.venue == away for state in self._states.values()):
            self._stand_in[away], left = venue, away
        else:
            self._called = venue
            return
        self._called = None
        for state in self._states.values():
            if state.venue == left:
                self._switch(state, venue)

    # What is said of the line

    def _on_control(self, event: Gap | Status | Share) -> None:
        if isinstance(event, Gap):
            self._on_gap(event)
        elif isinstance(event, Status):
            self._on_status(event)
        else:
            self._on_share(event)

    def _on_status(self, status: Status) -> None:
        if status.state == "switched":
            if self.config.provider == PRIMARY:
                self._on_switched(status)
            return
        if status.state == "refused":
            return
        for state in self._of(status):
            if status.state == "connected":
                state.doubts.up(state.window.now)
            else:
                line: Line = "stale" if status.state == "stale" else "disconnected"
                state.doubts.down(line, status.reason)
            self._renew(state)

    def _on_gap(self, gap: Gap) -> None:
        if gap.channel != "trade":
            return
        for state in self._of(gap):
            if state.doubts.gap(gap, state.window.now):
                self._alert_gap(state, gap.cause)
            self._renew(state)

    def _of(self, event: Event) -> list[State]:
        if event.symbol == SYSTEM:
            return [state for state in self._states.values() if state.venue == event.venue]
        state = self._states.get(event.symbol)
        return [state] if state is not None and state.venue == event.venue else []

    def _on_share(self, share: Share) -> None:
        if share.state == "ready":
            for symbol in share.symbols:
                self._past.discard(symbol)
                state = self._states.get(symbol)
                if state is not None:
                    state.is_past = False
            return
        self.forget(share.symbols)
        if share.state == "assigned":
            self._past.update(share.symbols)

    # What is made of it

    def _quality(self, state: State) -> Quality:
        window, doubts = state.window, state.doubts
        covered = min(window.now - window.first, window.long_ns) if window.has_begun else 0
        is_cold = covered < window.long_ns
        causes = doubts.causes(window.now - window.long_ns)
        return Quality(
            ok=not (is_cold or causes),
            warming_up=is_cold,
            covered_s=covered / SECOND,
            gap=bool(causes),
            line=doubts.line,
            switched_from=state.switched_from if is_cold else None,
            late=window.late,
            duplicates=window.duplicates,
            unusable=window.unusable,
            causes=causes,
        )

    def _judge(self, state: State) -> None:
        window = state.window
        for rule, edge in zip(self.rules, state.edges, strict=True):
            if rule.holds(window) and edge.is_due(window.now, self._cooldown_ns) and not state.is_past:
                inputs, quality = rule.inputs(window), self._quality(state)
                self._found.append(
                    Signal(state.symbol, state.venue, rule.direction, window.now, rule.name, rule.expression, inputs, quality)
                )

    def _look(self, state: State) -> None:
        window = state.window
        state.look_at = window.now - window.now % LOOK_NS + LOOK_NS
        p95 = window.latency_p95()
        if p95 is not None and p95 > self.config.alert_latency_ms and not state.is_past:
            limit = self.config.alert_latency_ms
            self._alert("latency", state.symbol, window.now, f"latency_ms_p95 is {p95:g}, the limit is {limit:g}")

    def _alert_gap(self, state: State, cause: str) -> None:
        if not state.is_past:
            self._alert("gap", state.symbol, state.window.now, f"{state.venue}: {cause}")

    def _alert(self, kind: AlertKind, symbol: str, ts: int, detail: str) -> None:
        alert = self._alerts.make(kind, symbol, ts, detail)
        if alert is not None:
            self._found.append(alert)

    def _renew(self, state: State) -> None:
        if not state.is_new:
            state.is_new = True
            self._new.append(state)
