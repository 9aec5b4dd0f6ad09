"""What is fuzzed and what must hold, whoever makes the bytes.

`Stream`: a frame on a line in the middle of good ones. `Rest`: the body of an answer. In both nothing escapes but BadFrame, a
bad frame costs no later one, and what is published can be stored and said again: plain numbers, integers of 64 bits.
`Producers`: a message of another program; nothing escapes but Malformed.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Any

from marketd.errors import BadFrame
from marketd.metrics import Metrics
from marketd.model.digits import is_plain
from marketd.model.events import BookDelta, BookL2, BookSnapshot, Candle, Event, Quote, Trade
from marketd.model.instruments import Instrument, Instruments
from marketd.model.intervals import Interval
from marketd.model.timeframes import timeframe
from marketd.model.vet import impossible
from marketd.model.wire import decode, encode
from marketd.sim import SIM_VENUES
from marketd.sim.wire import Request as SimRequest
from marketd.sources.tolerant import Malformed, read_event
from marketd.venues import VENUES
from marketd.venues.continuity import Repair
from marketd.venues.intake import Intake
from marketd.venues.notices import Notice
from marketd.venues.venue import Answer, Line, Request, Span, Wanted
from tests.samples import one_of_each
from tests.venues.frames import TS_RECV, Session, sessions

KEYS = {"ALPACA_KEY": "a key", "ALPACA_SECRET": "a secret", "ALPACA_DRY_RUN": "false"}
Said = Sequence[Event | Notice] | str
BITCOIN = Instrument("any", "BTCUSDT", "BTCUSDT", "BTC", "USDT", tick="0.01", lot="0.00001")
NUMBERS = ("price", "size", "bid", "bid_size", "ask", "ask_size", "open", "high", "low", "close", "volume")
TIMES = ("ts_event", "ts_recv", "seq", "prev_seq", "open_time", "close_time")


class Broken(AssertionError):
    """What must hold does not."""


def unsound(event: Event) -> str | None:
    """Why an event that left the intake could not be stored or said again."""
    fields = {name: getattr(event, name) for name in event.__struct_fields__}
    for name in NUMBERS:
        if name in fields and not is_plain(fields[name]):
            return f"{name} is {fields[name][:80]!r}"
    for name in TIMES:
        value = fields.get(name)
        if value is not None and not -(2**63) <= value < 2**63:
            return f"{name} is beyond 64 bits"
    if isinstance(event, BookL2 | BookDelta | BookSnapshot):
        for price, size in (*event.bids, *event.asks):
            if not (is_plain(price) and is_plain(size)):
                return f"a level is {price[:40]!r} {size[:40]!r}"
    if isinstance(event, Trade | Quote | Candle) and impossible(event) is not None:
        return impossible(event)
    if not isinstance(event, BookSnapshot) and encode(decode(encode(event))) != encode(event):
        return "it reads back as another event"
    return None


def check(events: Iterable[Event]) -> None:
    for event in events:
        why = unsound(event)
        if why is not None:
            raise Broken(f"{why}: {event!r}"[:500])


class Nobody:
    """Whom an intake asks, when nobody answers."""

    def repair(self, repair: Repair) -> None: ...

    def notice(self, connection: int, notice: Notice) -> None: ...


def read(line: Line, frame: bytes) -> Said:
    try:
        return line.read(frame, TS_RECV)
    except BadFrame:
        return "bad frame"


class Stream:
    """A frame of a venue's stream. Input: the number of the session, the place in it, the frame."""

    def __init__(self, venue: str) -> None:
        self.name = f"{venue} stream"
        self._venue = VENUES[venue]({})
        self._sessions = sessions(venue)
        self._told = [self._plain(session) for session in self._sessions]
        self._metrics = Metrics()

    def seeds(self) -> Iterator[bytes]:
        for number, session in enumerate(self._sessions):
            for place, frame in enumerate(session.frames):
                yield bytes((number, place)) + frame

    def __call__(self, data: bytes) -> None:
        """Raises whatever must not happen."""
        if len(data) < 2:
            return
        number = data[0] % len(self._sessions)
        session, told, frame = self._sessions[number], self._told[number], data[2:]
        place = data[1] % (len(session.frames) + 1)
        line = session.open_line()
        for good in session.frames[:place]:
            read(line, good)
        said = read(line, frame)
        after = [read(line, good) for good in session.frames[place:]]
        if said == "bad frame":
            if after != told[place:]:
                raise Broken(f"{session}: a bad frame changed what later frames say")
        else:
            self._take_in(session.instruments, [*told[:place], said, *after], frame)

    def _plain(self, session: Session) -> list[Said]:
        line = session.open_line()
        return [read(line, frame) for frame in session.frames]

    def _take_in(self, instruments: Instruments, said: Sequence[Said], frame: bytes) -> None:
        published: list[Event] = []
        intake = Intake(self._venue, published.extend, Nobody(), self._metrics, deltas=True)
        intake.takes_all = True
        intake.instruments = instruments
        for items in said:
            if isinstance(items, str):
                intake.bad(BadFrame(self._venue.name, frame, items))
            else:
                intake.take(items, 1, frame, TS_RECV)
        intake.tick(TS_RECV + 1_000_000_000)
        intake.close()
        check(published)


class Rest:
    """The body of an answer. Input: the number of the question, the body."""

    def __init__(self, venue: str) -> None:
        self.name = f"{venue} rest"
        self._venue = VENUES[venue](KEYS)
        self._instrument = self._listed_by_sim(venue)
        self._published: list[Event] = []
        self._metrics = Metrics()
        minute = timeframe("1m")
        self._span = Span("1", "1000000000", TS_RECV - 3600 * 10**9, TS_RECV)
        self._requests: list[Request | None] = [
            self._venue.instruments_request(),
            self._venue.snapshot_request(self._instrument),
            self._venue.trades_request(self._instrument, self._span),
            self._venue.candles_request(self._instrument, minute, Interval(TS_RECV - 10 * minute.step, TS_RECV)),
            None,
        ]
        self._readers: list[Callable[[Answer], Any]] = [
            self._instruments,
            self._snapshot if self._requests[1] is not None else self._refusal,
            self._trades,
            lambda answer: self._venue.read_candles(answer, self._instrument, minute, TS_RECV),
            self._refusal,
        ]

    def seeds(self) -> Iterator[bytes]:
        for number, request in enumerate(self._requests):
            body = b'{"code":-1121,"msg":"Invalid symbol."}' if request is None else self._asked(request)
            if body:
                yield bytes((number,)) + body

    def __call__(self, data: bytes) -> None:
        if not data:
            return
        answer = Answer(200 if data[0] < 128 else 400, {}, data[1:], TS_RECV)
        try:
            self._venue.read_refusal(answer)
            self._readers[data[0] % len(self._readers)](answer)
        except BadFrame:
            return

    def _refusal(self, answer: Answer) -> None:
        self._venue.read_refusal(answer._replace(status=400))

    def _instruments(self, answer: Answer) -> None:
        for one in Instruments(self._venue.read_instruments(answer)):
            if not (one.symbol and one.venue_symbol):
                raise Broken(f"an instrument without a name: {one}")

    def _intake(self) -> Intake:
        self._published = []
        intake = Intake(self._venue, self._published.extend, Nobody(), self._metrics, deltas=True)
        intake.takes_all = True
        return intake

    def _trades(self, answer: Answer) -> None:
        page = self._venue.read_trades(answer, self._instrument, self._span, TS_RECV)
        intake = self._intake()
        trades = intake.admit(page.trades)
        intake.publish(intake.continuity.overlap(trades, TS_RECV))
        intake.close()
        check([*trades, *self._published])

    def _snapshot(self, answer: Answer) -> None:
        snapshot = self._venue.read_snapshot(answer, self._instrument, TS_RECV)
        intake = self._intake()
        intake.want([Wanted("book", snapshot.symbol)], TS_RECV)
        intake.fetched_book(snapshot)
        intake.tick(TS_RECV + 1_000_000_000)
        check(self._published)

    def _listed_by_sim(self, venue: str) -> Instrument:
        if venue not in SIM_VENUES:
            return BITCOIN
        listed = self._venue.read_instruments(Answer(200, {}, self._asked(self._venue.instruments_request()), TS_RECV))
        return next(one for one in listed if one.is_trading)

    def _asked(self, request: Request) -> bytes:
        """What the simulated venue answers."""
        name = self._venue.name
        if name not in SIM_VENUES:
            return b"[]"
        venue = simulated(name)
        path = request.path.removeprefix(venue.root) if venue.root else request.path
        headers = {name.lower(): value for name, value in request.headers.items()}
        return venue.rest(SimRequest("GET", path, request.params, headers, path)).body


@cache
def simulated(name: str) -> Any:
    venue = SIM_VENUES[name](lambda: TS_RECV, lambda *_: None, seed=1, limits=False)
    venue.step(50)
    return venue


class Producers:
    """A message of another program, as it comes over NATS. Input: any byte, the message."""

    name = "producers messages"

    def seeds(self) -> Iterator[bytes]:
        for event in one_of_each():
            yield b"\0" + encode(event)
        yield b'\0{"exchange":"Kraken","pair":"btc/usd","price":1.50,"qty":"2e-3","timestamp":1700000000.25,"raw_json":{"a":[1]}}'
        yield b'\0{"type":"depth","venue":"x","pair":"AB","bids":[["1",2]],"asks":[{"price":3,"qty":4}],"u":7}'

    def __call__(self, data: bytes) -> None:
        try:
            event = read_event(data[1:], TS_RECV)
        except Malformed:
            return
        check([event])


Target = Stream | Rest | Producers


def targets() -> list[Target]:
    return [*(kind(name) for name in sorted(VENUES) for kind in (Stream, Rest)), Producers()]
