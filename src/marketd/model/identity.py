"""The stable identity of each event, by which every store, log and consumer drops duplicates."""

import hashlib

from marketd.model.events import BookDelta, BookL2, Candle, Event, Gap, Heartbeat, Quote, Status, Trade


def identity(event: Event) -> str:
    """`venue:trade:symbol:id`, `venue:candle:symbol:timeframe:open_time:revision`; quotes and books by the venue's update id,
    else by `ts_event` and a hash of the content; gaps by what is missing and their state; the rest by time.
    """
    match event:
        case Trade():
            return f"{event.venue}:trade:{event.symbol}:{event.trade_id}"
        case Candle():
            return f"{event.venue}:candle:{event.symbol}:{event.timeframe}:{event.open_time}:{event.revision}"
        case Quote() | BookL2() | BookDelta():
            kind = {Quote: "quote", BookL2: "book_l2", BookDelta: "book_delta"}[event.__class__]
            return f"{event.venue}:{kind}:{event.symbol}:{event.seq if event.seq is not None else _content(event)}"
        case Gap():
            first = event.from_id if event.from_id is not None else event.from_ts
            last = event.to_id if event.to_id is not None else event.to_ts
            return f"{event.venue}:gap:{event.symbol}:{event.channel}:{first}:{last}:{event.state}"
        case Status():
            return f"{event.venue}:status:{event.symbol}:{event.ts_recv}:{event.state}"
        case Heartbeat():
            return f"{event.venue}:heartbeat:{event.symbol}:{event.ts_recv}"
    raise AssertionError(f"no identity rule for {event.__class__.__name__}")


def _content(event: Quote | BookL2 | BookDelta) -> str:
    """`ts_event` and a hash of what the venue said; `ts_recv` is ours and stays out, so two collectors agree."""
    if isinstance(event, Quote):
        said = "|".join((event.bid, event.bid_size, event.ask, event.ask_size)).encode()
    else:
        said = repr(([tuple(level) for level in event.bids], [tuple(level) for level in event.asks])).encode()
    return f"{event.ts_event}:{hashlib.blake2b(said, digest_size=8).hexdigest()}"
