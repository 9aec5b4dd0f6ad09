"""`GET /paper` and below: the account of the paper trader, its decisions and fills. Nothing here was ever sent to a venue."""

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, get_args

import msgspec
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from marketd.api.answers import RequestError, answer, refuse, require
from marketd.api.parameters import COUNT, NS_MAX, TIME, TIMES
from marketd.api.shapes import NS, TEXT, WHOLE, Schema, answers, array, maybe, shape
from marketd.api.shapes import TIME as TIME_TEXT
from marketd.api.views import PaperView, Views
from marketd.model.events import Side
from marketd.model.exact import plain
from marketd.model.paper import Refusal, Why
from marketd.model.times import iso_of_ns

if TYPE_CHECKING:
    from marketd.paper.books import Books
    from marketd.stores.paper import Kept

WORDS = {
    "paper": "true: an account in our books only; no order ever went to a venue",
    "equity": "cash and positions, these at the close of the newest candle of each, without costs of selling",
    "profit": "equity less start; exactly realised + unrealised - fees",
    "realised": "of closed positions, before fees",
    "fees": "of all fills, also of those that opened what is still held",
}


class NoQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PageQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    limit: COUNT = Field(100, ge=1, le=1000, description="how many, newest first, from 1 to 1000")
    cursor: COUNT | None = Field(None, ge=1, description="as X-Next-Cursor gave it: those before it")


class EquityQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    start: TIME = Field(0, description=f"from here on: {TIMES}")
    end: TIME = Field(NS_MAX, description="and up to here, exclusive")
    limit: COUNT = Field(1000, ge=1, le=10_000, description="how many, oldest first, from 1 to 10,000")


def paper_routes(views: Views) -> APIRouter:
    routes = APIRouter(prefix="/paper", tags=["paper"])

    @routes.get("", responses=ACCOUNT, summary="The account of the paper trader, and what its figures mean")
    async def paper(_: Annotated[NoQuery, Query()]) -> Response:
        trader, books, kept = _opened(views)
        account, marks = books.account, books.marks
        equity = account.equity(marks)
        return answer(
            {
                "paper": True,
                "book": kept.book,
                "timeframe": kept.timeframe,
                "opened": iso_of_ns(kept.opened),
                "boundary": _time(books.boundary),
                "start": plain(account.start),
                "equity": plain(equity),
                "profit": plain(account.profit(marks)),
                "cash": plain(account.cash),
                "positions": plain(account.held(marks)),
                "realised": plain(account.realised),
                "unrealised": plain(account.unrealised(marks)),
                "fees": plain(account.fees),
                "open": len(account.positions),
                "orders": kept.orders,
                "fills": kept.fills,
                "state": trader.state[1],
                "meaning": WORDS,
            }
        )

    @routes.get("/positions", responses=POSITIONS, summary="What is held on paper")
    async def positions(_: Annotated[NoQuery, Query()]) -> Response:
        books = _opened(views)[1]
        return answer(
            [
                {
                    "paper": True,
                    "symbol": one.symbol,
                    "provider": one.venue,
                    "side": "long" if one.is_long else "short",
                    "size": plain(abs(one.size)),
                    "price": plain(one.price),
                    "mark": plain(books.marks.get(one.symbol, one.price)),
                    "unrealised": plain(one.unrealised(books.marks.get(one.symbol, one.price))),
                    "fee": plain(one.fee),
                    "stop": _number(one.stop),
                    "take_profit": _number(one.take_profit),
                    "opened": iso_of_ns(one.ts),
                    "order": one.order,
                }
                for _, one in sorted(books.account.positions.items())
            ]
        )

    @routes.get("/orders", responses=ORDERS, summary="What the paper trader decided, refusals with their reasons; newest first")
    async def orders(query: Annotated[PageQuery, Query()]) -> Response:
        trader, _, kept = _opened(views)
        return _page(await trader.store.orders(kept.book, before=query.cursor or NS_MAX, limit=query.limit), query.limit)

    @routes.get("/fills", responses=FILLS, summary="Everything that was bought and sold on paper; newest first")
    async def fills(query: Annotated[PageQuery, Query()]) -> Response:
        trader, _, kept = _opened(views)
        return _page(await trader.store.fills(kept.book, before=query.cursor or NS_MAX, limit=query.limit), query.limit)

    @routes.get("/equity", responses=EQUITY, summary="The account at each candle's close, before what its signals open")
    async def equity(query: Annotated[EquityQuery, Query()]) -> Response:
        trader, _, kept = _opened(views)
        if query.end <= query.start:
            refuse("end must be after start", "end", "a time after start")
        points = await trader.store.equity(kept.book, query.start, query.end, query.limit)
        headers = {"X-Next-Cursor": iso_of_ns(points[-1].ts + 1)} if len(points) == query.limit else None
        return answer(
            [{"paper": True, "ts": iso_of_ns(one.ts), "equity": plain(one.equity), **_row(one, "ts")} for one in points], headers
        )

    return routes


def _opened(views: Views) -> "tuple[PaperView, Books, Kept]":
    trader = require(views.paper, "trader")
    if trader.books is None or trader.kept is None:
        raise RequestError(503, f"the paper trader's books are not open: {trader.state[1]}")
    return trader, trader.books, trader.kept


def _page(found: list[Any], limit: int) -> Response:
    headers = {"X-Next-Cursor": str(found[-1].seq)} if len(found) == limit and found[-1].seq > 1 else None
    return answer([{"paper": True, "seq": one.seq, "ts": iso_of_ns(one.of.ts), **_row(one.of, "ts")} for one in found], headers)


def _row(one: Any, *without: str) -> dict[str, object]:
    """Names as they are told outside; numbers as text with their digits."""
    row = {name: value for name, value in msgspec.structs.asdict(one).items() if name not in without}
    if "venue" in row:
        row["provider"] = row.pop("venue")
    return {name: _number(value) if isinstance(value, Decimal) else value for name, value in row.items()}


def _number(value: Decimal | None) -> str | None:
    return None if value is None else plain(value)


def _time(ts: int) -> str | None:
    return iso_of_ns(ts) if ts else None


def _numbers(*names: str) -> dict[str, Schema]:
    return dict.fromkeys(names, TEXT)


_MARK: Schema = {"type": "boolean"}
_SIDE: Schema = {"enum": list(get_args(Side))}
_ACCOUNT = shape(
    {
        "paper": _MARK, "book": TEXT, "timeframe": TEXT, "opened": TIME_TEXT, "boundary": maybe(TIME_TEXT),
        **_numbers("start", "equity", "profit", "cash", "positions", "realised", "unrealised", "fees"),
        "open": WHOLE, "orders": WHOLE, "fills": WHOLE, "state": TEXT,
        "meaning": {"type": "object", "additionalProperties": TEXT},
    }
)  # fmt: skip
_POSITION = shape(
    {
        "paper": _MARK, "symbol": TEXT, "provider": TEXT, "side": {"enum": ["long", "short"]},
        **_numbers("size", "price", "mark", "unrealised", "fee"), "stop": maybe(TEXT), "take_profit": maybe(TEXT),
        "opened": TIME_TEXT, "order": TEXT,
    }
)  # fmt: skip
_ENTRY: dict[str, Schema] = {
    "paper": _MARK, "seq": NS, "ts": TIME_TEXT, "symbol": TEXT, "provider": TEXT, "side": _SIDE,
    "why": {"enum": list(get_args(Why))},
}  # fmt: skip
_ORDER = shape({**_ENTRY, "id": TEXT, "refusal": maybe({"enum": list(get_args(Refusal))}), "detail": TEXT})
_FILL = shape(
    {
        **_ENTRY, "order": TEXT, **_numbers("price", "size", "fee"), "closes": maybe(TEXT), "stop": maybe(TEXT),
        "take_profit": maybe(TEXT),
    }
)  # fmt: skip
_POINT = shape({"ts": TIME_TEXT, **_numbers("equity", "cash", "positions", "realised", "unrealised", "fees"), "open": WHOLE})
ACCOUNT = answers(_ACCOUNT, "on paper only")
POSITIONS, ORDERS, FILLS, EQUITY = (answers(array(one), "on paper only") for one in (_POSITION, _ORDER, _FILL, _POINT))
