"""The client for asyncio."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Self, TypeVar

import httpx

from marketd.client import questions
from marketd.client.errors import BadAnswer, Passing, Unreachable
from marketd.client.frames import Columns, Library, Numbers, library_for
from marketd.client.live import Channel, Message
from marketd.client.questions import PAGE, Question, Time, answered
from marketd.client.retrying import Retry, Tries
from marketd.client.shapes import Candle, Gap, Page, Status
from marketd.client.streaming import FOREVER, Listening
from marketd.client.waiting import wait

T = TypeVar("T")
TIMEOUT_S = 30.0


class MarketDataClient:
    """Asks one marketd.

    Every method raises ClientError, in one of its kinds; what may pass is tried again before.

    Use it with `async with`, or call `close` at the end.
    """

    def __init__(
        self,
        base_url: str = "http://localhost:8100",
        token: str | None = None,
        *,
        retry: Retry = Retry(),  # noqa: B008 (frozen)
        timeout_s: float = TIMEOUT_S,
        wait: Callable[[float], Awaitable[None]] = wait,
    ) -> None:
        """`token` is needed where the server has one set (MARKETD_API_TOKEN). `wait` is for tests. Raises BadAddress."""
        self._base_url, self._token = questions.base_of(base_url).rstrip("/"), token
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._http = httpx.AsyncClient(base_url=questions.base_of(base_url), headers=headers, timeout=timeout_s)
        self._retry, self._wait = retry, wait

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def get_candles(
        self, exchange: str, symbol: str, timeframe: str, start: Time, end: Time, *, include: Sequence[str] = ()
    ) -> list[Candle]:
        """All candles with `start <= open_time < end`, oldest first."""
        pages = self.iter_pages(exchange, symbol, timeframe, start, end, include=include)
        return [candle async for page in pages for candle in page.candles]

    async def iter_candles(
        self, exchange: str, symbol: str, timeframe: str, start: Time, end: Time, *, include: Sequence[str] = (), page: int = PAGE
    ) -> AsyncIterator[Candle]:
        """The same one by one, with one page in memory however long the range is."""
        async for found in self.iter_pages(exchange, symbol, timeframe, start, end, include=include, page=page):
            for candle in found.candles:
                yield candle

    async def iter_pages(
        self, exchange: str, symbol: str, timeframe: str, start: Time, end: Time, *, include: Sequence[str] = (), page: int = PAGE
    ) -> AsyncIterator[Page]:
        cursor: str | None = None
        while True:
            question = questions.page(exchange, symbol, timeframe, start, end, include, page, cursor)
            found = await self._ask(question)
            yield found
            cursor = found.cursor
            if cursor is None:
                return

    async def latest(
        self, symbol: str, timeframe: str, limit: int = 100, *, exchange: str | None = None, include: Sequence[str] = ()
    ) -> list[Candle]:
        """The newest candles, oldest first; without `exchange` of the first configured venue that holds the series."""
        return await self._ask(questions.latest(symbol, timeframe, limit, exchange, include))

    async def gaps(
        self,
        *,
        exchange: str | None = None,
        symbol: str | None = None,
        timeframe: str | None = None,
        state: str | None = None,
        open_only: bool = False,
    ) -> list[Gap]:
        """What is missing, cannot be had, or is repaired since; open ones are neither repaired nor the venue's own emptiness."""
        return await self._ask(questions.gaps(exchange, symbol, timeframe, state, open_only))

    async def symbols(self, exchange: str | None = None) -> dict[str, list[str]]:
        """What a venue lists, or what is collected from each."""
        return await self._ask(questions.symbols(exchange))

    async def status(self) -> Status:
        """Every series: how far, how late, what is missing."""
        return await self._ask(questions.status())

    async def get_frame(
        self,
        exchange: str,
        symbol: str,
        timeframe: str,
        start: Time,
        end: Time,
        *,
        library: Library | None = None,
        numbers: Numbers = "float",
    ) -> Any:
        """The range as a data frame of polars or pandas, the first that is installed unless `library` names one.

        Numbers are float64 to compute with, or `text` with every digit. Raises LibraryMissing.
        """
        columns = Columns(library_for(library), numbers)
        async for page in self.iter_pages(exchange, symbol, timeframe, start, end):
            columns.add(page.candles)
        return columns.frame()

    def stream(self, *channels: Channel, retry: Retry = FOREVER) -> AsyncGenerator[Message, None]:
        """Live events of these channels, newest first known, then all that follows, for as long as it is iterated.

        After a break it goes on where it was: each trade and closed candle comes once. Where that cannot be, trades come from
        the store, and `Missed` says what is lacking or cannot be proved. `Connected` and `Broken` tell of the connection.
        Raises ClientError for what no second try can mend.
        """
        return Listening(self._base_url, self._token, channels, retry, self._wait, self._ask).messages()

    async def _ask(self, question: Question[T]) -> T:
        tries = Tries(self._retry)
        while True:
            try:
                return await self._once(question)
            except Passing as error:
                await self._wait(tries.delay_s(error))

    async def _once(self, question: Question[T]) -> T:
        try:
            response = await self._http.get(question.path, params=question.params)
        except httpx.DecodingError as error:
            raise BadAnswer(f"{self._http.base_url}: {error}") from error
        except httpx.TransportError as error:
            raise Unreachable(f"{self._http.base_url}: {error or type(error).__name__}") from error
        return answered(question, response.status_code, response.headers, response.content)
