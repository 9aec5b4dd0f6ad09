"""A signal of the technical analysis: what `market:signal:{symbol}` carries."""

from typing import Literal, NamedTuple, get_args

import msgspec

from marketd.model.foreign import reader_of

Direction = Literal["long", "short"]
RuleName = Literal["ribbon_up", "ribbon_down", "squeeze_up", "squeeze_down", "stochastic_up", "stochastic_down"]
RULE_NAMES: tuple[RuleName, ...] = get_args(RuleName)


class SignalId(NamedTuple):
    """What makes two signals the same: one candle says a rule once."""

    venue: str
    symbol: str
    timeframe: str
    open_time: int  # ns, of the candle
    rule: str


class SignalQuality(msgspec.Struct, frozen=True):
    """What the signal rests on. Signals are made of complete candles only, so `ok` is true; a reader asks all the same."""

    ok: bool
    reason: str | None = None  # why not
    candles: int = 0  # closed ones, without a hole between them


class Signal(msgspec.Struct, frozen=True):
    """A rule came true on a closed candle. Never revised once published. Times are ns since the epoch, UTC."""

    symbol: str
    venue: str = msgspec.field(name="provider")
    timeframe: str
    direction: Direction
    rule: str
    reasons: tuple[str, ...]  # what held, in words, with the figures
    price: str  # the close of the candle, with the venue's digits
    open_time: int  # of the candle
    close_time: int  # open_time + timeframe
    ts: int  # close_time: when it could first be known, so that live and back-test say the same
    quality: SignalQuality

    @property
    def id(self) -> SignalId:
        return SignalId(self.venue, self.symbol, self.timeframe, self.open_time, self.rule)


def signal_channel(symbol: str) -> str:
    return f"market:signal:{symbol}"


_read = reader_of(Signal)
_encoder = msgspec.json.Encoder()


def encode_signal(signal: Signal) -> bytes:
    return _encoder.encode(signal)


def decode_signal(payload: bytes) -> Signal:
    """Raises msgspec.DecodeError."""
    return _read(payload)
