"""Events and number texts as hypothesis makes them up, for the property tests of every room."""

from hypothesis import strategies as st

from marketd.model.events import (
    SYSTEM,
    AnyEvent,
    BookDelta,
    BookL2,
    Candle,
    Gap,
    Heartbeat,
    Quote,
    Status,
    Trade,
)

# The digits of a price or size as a venue may write them: long, tiny, with zeros at the end, without a fraction.
digits = st.from_regex(r"(0|[1-9][0-9]{0,17})(\.[0-9]{1,18})?", fullmatch=True, alphabet="0123456789.")
symbols = st.sampled_from(["BTCUSDT", "ETHUSD", "1INCHUSDT", "BRK.B", "币安人生USDT"])
venues = st.sampled_from(["one", "two"])
times = st.integers(min_value=0, max_value=4_102_444_800_000_000_000)
ids = st.text("0123456789abcdef-", min_size=1, max_size=36)
seqs = st.none() | st.integers(min_value=0, max_value=2**63 - 1)
levels = st.lists(st.tuples(digits, digits), max_size=20)

_head = {"venue": venues, "symbol": symbols, "ts_event": st.none() | times, "ts_recv": times}

trades = st.builds(
    Trade, **_head, price=digits, size=digits, side=st.sampled_from(["buy", "sell", None]), trade_id=ids, repaired=st.booleans()
)
quotes = st.builds(Quote, **_head, bid=digits, bid_size=digits, ask=digits, ask_size=digits, seq=seqs)
book_views = st.builds(BookL2, **_head, bids=levels, asks=levels, seq=seqs)
book_deltas = st.builds(BookDelta, **_head, bids=levels, asks=levels, seq=seqs, prev_seq=seqs)
candles = st.builds(
    Candle,
    **_head,
    timeframe=st.sampled_from(["1m", "5m", "1h", "1d"]),
    open_time=times,
    close_time=times,
    open=digits,
    high=digits,
    low=digits,
    close=digits,
    volume=digits,
    closed=st.booleans(),
    revision=st.integers(0, 9),
    repaired=st.booleans(),
)
heartbeats = st.builds(Heartbeat, **{**_head, "symbol": st.just(SYSTEM)}, reason=st.text(max_size=20))
gaps = st.builds(
    Gap,
    **_head,
    channel=st.sampled_from(["trade", "quote", "book", "candle"]),
    state=st.sampled_from(["found", "filled", "unrecoverable"]),
    from_id=st.none() | ids,
    to_id=st.none() | ids,
    from_ts=st.none() | times,
    to_ts=st.none() | times,
    cause=st.text(max_size=20),
)
statuses = st.builds(
    Status,
    **_head,
    state=st.sampled_from(["connected", "disconnected", "stale", "refused", "switched"]),
    reason=st.text(max_size=20),
)

events: st.SearchStrategy[AnyEvent] = st.one_of(trades, quotes, book_views, book_deltas, candles, heartbeats, gaps, statuses)
