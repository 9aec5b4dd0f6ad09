"""What a venue lists: our symbol, the venue's spelling, and the steps that prices and sizes move in."""

from collections.abc import Iterable, Iterator

import msgspec


class Instrument(msgspec.Struct, frozen=True):
    venue: str
    symbol: str  # ours: the venue-neutral concatenation, BTCUSDT
    venue_symbol: str  # theirs: tBTCUSD, BTC-USD, BTC/USD
    base: str
    quote: str
    tick: str | None = None  # smallest price step, the venue's digits; None when the venue does not say
    lot: str | None = None  # smallest size step
    status: str = "trading"  # trading, or the venue's own word for anything else

    @property
    def is_trading(self) -> bool:
        return self.status == "trading"


class Instruments:
    """A venue's list, asked by either spelling."""

    def __init__(self, listed: Iterable[Instrument] = ()) -> None:
        self._ours = {instrument.symbol: instrument for instrument in listed}
        self._theirs = {instrument.venue_symbol: instrument for instrument in self._ours.values()}
        self.symbols: dict[str, str] = {theirs: one.symbol for theirs, one in self._theirs.items()}  # theirs -> ours

    def update(self, listed: Iterable[Instrument]) -> None:
        """Take the venue's newer list; whoever holds this object sees it."""
        for instrument in listed:
            self._ours[instrument.symbol] = instrument
            self._theirs[instrument.venue_symbol] = instrument
            self.symbols[instrument.venue_symbol] = instrument.symbol

    def get(self, symbol: str) -> Instrument | None:
        return self._ours.get(symbol)

    def by_venue_symbol(self, venue_symbol: str) -> Instrument | None:
        return self._theirs.get(venue_symbol)

    def __getitem__(self, symbol: str) -> Instrument:
        return self._ours[symbol]

    def __contains__(self, symbol: str) -> bool:
        return symbol in self._ours

    def __iter__(self) -> Iterator[Instrument]:
        return iter(self._ours.values())

    def __len__(self) -> int:
        return len(self._ours)


def decimals(step: str) -> int:
    """How many digits after the point a step has: `0.0100` moves in hundredths, so 2."""
    _, _, fraction = step.partition(".")
    return len(fraction.rstrip("0"))


def neutral(text: str) -> str:
    """The symbol as we write it. Raises ValueError that says how, for any other spelling."""
    if text.replace(".", "").isalnum():
        return text.upper()
    joined = "".join(letter for letter in text if letter.isalnum() or letter == ".").upper()
    raise ValueError(f"expected base and quote joined, as BTCUSDT{f' (did you mean {joined}?)' if joined else ''}")
