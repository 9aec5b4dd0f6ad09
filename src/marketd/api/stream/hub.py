"""Every channel, and who gets what of each batch: those in step the same bytes, the others from the channel's log."""

from collections.abc import Sequence
from uuid import uuid4

from marketd.api.section import StreamConfig
from marketd.api.stream.channel import Channel, Held, Key
from marketd.api.stream.client import Client
from marketd.api.stream.reader import Reader
from marketd.clock import Clock
from marketd.metrics import Metrics
from marketd.model.events import BookL2, Candle, Event, Gap, Quote, Status, Trade

TYPES: dict[type[Event], str] = {Trade: "trade", Quote: "quote", BookL2: "book", Candle: "candle", Status: "status", Gap: "gap"}
PLAIN: dict[str, type[Event]] = {"trade": Trade, "quote": Quote, "book": BookL2}
KEPT_S = 300.0  # a log after its last reader left
LOOK_S = 0.25  # how often the slow are looked for


class Hub:
    """Between two calls every channel's clients in step have all up to its position."""

    def __init__(self, config: StreamConfig, clock: Clock, metrics: Metrics) -> None:
        self.config, self.clock, self.metrics = config, clock, metrics
        self.epoch = uuid4().hex[:12]
        self.channels: dict[Key, Channel] = {}
        self.clients: set[Client] = set()
        self.paced: set[Reader] = set()  # who asked for less than everything at once
        self.paused: set[Reader] = set()  # whose connection takes no more
        self.held = Held()
        self._open: set[Channel] = set()
        self._candles: dict[tuple[str, str], list[Channel]] = {}
        self._plain: dict[tuple[type[Event], str, str], Channel] = {}  # of trades, quotes and books, by what their events say
        self._looked_s = clock.monotonic()
        self._messages = 0  # out, not yet in the metrics

    def channel(self, key: Key) -> Channel:
        """The channel of this name, from now on there."""
        found = self.channels.get(key)
        if found is None:
            found = self.channels[key] = Channel(key, self.held)
            if key.type == "candle":
                self._candles.setdefault((key.venue, key.symbol), []).append(found)
            elif key.type in PLAIN:
                self._plain[PLAIN[key.type], key.venue, key.symbol] = found
        return found

    def publish(self, events: Sequence[Event]) -> None:
        """Number, encode and hand out; never waits."""
        changed: dict[Channel, None] = {}
        plain = self._plain
        for event in events:
            found = plain.get((event.__class__, event.venue, event.symbol))  # most events are of a kind that has one channel
            for channel in self._concerned(event) if found is None else (found,):
                channel.take(event)
                if channel.is_open:
                    changed[channel] = None
        touched: list[Reader] = []
        for channel in changed:
            fresh, channel.fresh = channel.fresh, []
            for packs, clients in enumerate(channel.in_step):
                if not clients:
                    continue
                chunk = self._pack(channel, fresh) if packs else b"".join(fresh)
                self._messages += len(fresh) * len(clients)
                for client in clients:
                    if not client.out:
                        touched.append(client)
                    client.out.append(chunk)
            if len(channel) > self.config.held * 5 // 4:
                channel.forget(len(channel) - self.config.held)
        joined: dict[tuple[bytes, ...], bytes] = {}  # most clients ask for the same
        for client in touched:
            client.flush(joined)
        if self.held.bytes > self.config.held_mib << 20:
            self._shrink()
        if self._messages:
            self.metrics.stream_messages.inc(self._messages)
            self._messages = 0

    def sent(self, messages: int) -> None:
        """By a client on its own."""
        self._messages += messages

    def tend(self) -> None:
        """To be called often: what is due at a client's own pace, and now and then those who are too slow or gone."""
        now_s = self.clock.monotonic()
        for client in list(self.paced):
            client.deliver_due(now_s)
        if now_s - self._looked_s < LOOK_S:
            return
        self._looked_s = now_s
        for client in list(self.paused):
            client.judge()
        for client in list(self.clients):
            client.listen(now_s)
        for channel in [one for one in self._open if not one.readers and one.empty_since_s is not None]:
            assert channel.empty_since_s is not None
            if now_s - channel.empty_since_s >= KEPT_S:
                channel.close()
                self._open.discard(channel)
        self.metrics.stream_held.set(self.held.bytes)
        self.metrics.stream_fill.set(max((client.fill() for client in self.paused), default=0.0))

    def joined(self, channel: Channel) -> None:
        """One more asks for it."""
        channel.readers += 1
        if not channel.is_open:
            channel.open()
            self._open.add(channel)
        channel.empty_since_s = None

    def left(self, channel: Channel) -> None:
        channel.readers -= 1
        if channel.readers:
            return
        channel.empty_since_s = self.clock.monotonic()
        if not channel.pos:  # nothing of it is known: clients may ask for names without end
            self._open.discard(channel)
            self.channels.pop(channel.key, None)
            candles = self._candles.get((channel.key.venue, channel.key.symbol), [])
            if channel in candles:
                candles.remove(channel)
            if channel.key.type in PLAIN:
                self._plain.pop((PLAIN[channel.key.type], channel.key.venue, channel.key.symbol), None)

    def admit(self, client: Client) -> None:
        self.clients.add(client)
        self.metrics.stream_clients.set(len(self.clients))

    def release(self, client: Client, reason: str) -> None:
        """It is gone, or about to be."""
        if client in self.clients:
            self.clients.discard(client)
            self.metrics.stream_closed.labels(reason).inc()
            self.metrics.stream_clients.set(len(self.clients))

    def close(self, code: int, words: str, reason: str) -> None:
        """All clients at once."""
        for client in list(self.clients):
            client.close(code, words, reason)

    def start_anew(self, why: str) -> None:
        """Events were lost on the way here: nothing that is held proves anything any more."""
        self.close(1012, f"{why}; subscribe anew, in a new epoch", "restart")
        self.channels.clear()
        self._candles.clear()
        self._plain.clear()
        self._open.clear()
        self.held = Held()
        self.epoch = uuid4().hex[:12]

    def _pack(self, channel: Channel, fresh: Sequence[bytes]) -> bytes:
        packed = channel.pack(fresh)
        self.metrics.stream_deflate.labels("in").inc(sum(map(len, fresh)))
        self.metrics.stream_deflate.labels("out").inc(len(packed))
        return packed

    def _concerned(self, event: Event) -> Sequence[Channel]:
        if isinstance(event, Candle):
            return (self.channel(Key("candle", event.venue, event.symbol, event.timeframe)),)
        if isinstance(event, Status):
            whole = self.channel(Key("status", event.venue))
            return (whole, self.channel(Key("status", event.venue, event.symbol)))
        if not isinstance(event, Gap):
            return (self.channel(Key(TYPES[event.__class__], event.venue, event.symbol)),)
        if event.channel == "candle":
            return self._candles.get((event.venue, event.symbol), ())
        return (self.channel(Key(event.channel, event.venue, event.symbol)),)

    def _shrink(self) -> None:
        """Half of what the largest log holds goes, until all together hold what they may."""
        while self.held.bytes > self.config.held_mib << 20:
            largest = max(self._open, key=lambda one: one.held_bytes)
            if not largest.forget(max(1, len(largest) // 2)):
                return
