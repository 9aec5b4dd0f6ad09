"""
A pretend CoinGecko: pages of coins by market capitalisation, of which the simulated venues list some.

Protocol: https://docs.coingecko.com/v3.0.1/reference/coins-markets and .../common-errors-rate-limit, state of 2026-11.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from marketd.sim.faults import Deck
from marketd.sim.history import seed_number
from marketd.sim.limits import Window
from marketd.sim.venue import broken, refusal, server_error
from marketd.sim.wire import Request, Response, to_json

PAGE_MAX, PAGE = 250, 100
ROOTS = ("/api/v3", "")
KEYS = {"x-cg-demo-api-key": 30, "x-cg-pro-api-key": 250}  # requests a minute
KEYLESS = 15
UNLISTED_EACH = 4  # after so many coins that a venue lists comes one that none does
SWAPS = 0.05  # of the coins that change places with their neighbour before each reading of the ranking


@dataclass(frozen=True)
class SimCoin:
    id: str
    symbol: str  # lower case, as the service writes it


# id, ticker, place: what every ranking has. Tickers twice, a coin on another chain, money, and one that no venue could spell.
PECULIAR = (
    ("tether", "usdt", 2),
    ("usd-coin", "usdc", 5),
    ("wrapped-bitcoin", "wbtc", 8),
    ("bridged-bitcoin", "btc", 9),
    ("bitcoin-on-a-farm", "btc", 30),
    ("dollar-sign", "$", 31),
)


class CoinGecko:
    """The ranking and who asks for it."""

    name = "coingecko"

    def __init__(self, tickers: Iterable[str], now_ns: Callable[[], int], *, seed: int = 1, limits: bool = True) -> None:
        self._now_ns, self._limits = now_ns, limits
        self._draw = random.Random(seed_number(seed, self.name))
        self._windows: dict[str, Window] = {}
        self.deck = Deck(seed_number(seed, self.name, "faults"))
        self.swaps = SWAPS
        self.asked: list[Request] = []  # the latest requests, newest last
        self.refused = 0  # requests beyond the limit; faults do not count
        self.order: list[SimCoin] = []  # best first; whoever changes it changes the next answer
        for count, ticker in enumerate(dict.fromkeys(tickers)):
            if count and count % UNLISTED_EACH == 0:
                self.order.append(SimCoin(f"unlisted-{count // UNLISTED_EACH}", f"un{count // UNLISTED_EACH}x"))
            self.order.append(SimCoin(f"coin-{ticker.lower()}", ticker.lower()))
        for id_, ticker, place in PECULIAR:
            self.order.insert(min(place, len(self.order)), SimCoin(id_, ticker))

    @property
    def tickers(self) -> list[str]:
        """As they stand now, upper case, best first."""
        return [coin.symbol.upper() for coin in self.order]

    def move(self, ticker: str, place: int) -> None:
        """Put a coin at a place from 0. StopIteration if there is none of that ticker."""
        coin = next(coin for coin in self.order if coin.symbol == ticker.lower())
        self.order.remove(coin)
        self.order.insert(place, coin)

    def rest(self, request: Request) -> Response:
        now_ns = self._now_ns()
        self.asked.append(request)
        del self.asked[:-1000]
        if (fault := self.deck.first("refuse", now_ns)) is not None:
            return refusal(fault)
        if self.deck.first("error500", now_ns) is not None:
            return server_error()
        response = self._refused(request, now_ns) or broken(self.deck, now_ns) or self._answer(request)
        if (slow := self.deck.first("slow", now_ns)) is not None:
            response.delay_s += slow.by_s
        return response

    def _refused(self, request: Request, now_ns: int) -> Response | None:
        header = next((name for name in KEYS if name in request.headers), "")
        key = request.headers.get(header, "")
        if key == "wrong":
            return error(401, 10002, "API Key Missing")
        window = self._windows.setdefault(f"{header} {key}", Window(KEYS.get(header, KEYLESS), 60))
        if not self._limits or window.take(1, now_ns):
            return None
        self.refused += 1
        response = error(429, 429, "You've exceeded the Rate Limit.")
        response.headers["Retry-After"] = str(window.left_s(now_ns))
        return response

    def _answer(self, request: Request) -> Response:
        path = next((request.path.removeprefix(root) for root in ROOTS if request.path.startswith(root)), request.path)
        if path == "/ping":
            return Response(to_json({"gecko_says": "hello"}))
        if path != "/coins/markets" or request.method != "GET":
            return Response(to_json({"error": "Incorrect path."}), 404)
        if not request.query.get("vs_currency"):
            return Response(to_json({"error": "Missing parameter vs_currency"}), 422)
        try:
            page, count = int(request.query.get("page", 1)), int(request.query.get("per_page", PAGE))
        except ValueError:
            return Response(to_json({"error": "Invalid parameter page"}), 422)
        count = min(max(count, 1), PAGE_MAX)
        if page == 1:
            self._change_places()
        first = (max(page, 1) - 1) * count
        rows = [describe(coin, first + place + 1) for place, coin in enumerate(self.order[first : first + count])]
        return Response(to_json(rows), headers={"Cache-Control": "public, max-age=60"})

    def _change_places(self) -> None:
        for _ in range(int(len(self.order) * self.swaps)):
            at = self._draw.randrange(1, len(self.order))
            self.order[at - 1], self.order[at] = self.order[at], self.order[at - 1]


def describe(coin: SimCoin, rank: int) -> dict[str, Any]:
    cap = 2_000_000_000_000 // rank
    return {
        "id": coin.id,
        "symbol": coin.symbol,
        "name": coin.id.replace("-", " ").title(),
        "image": None,
        "current_price": cap / 1e7,
        "market_cap": cap,
        "market_cap_rank": rank,
        "fully_diluted_valuation": None,
        "total_volume": cap // 50,
        "max_supply": None,
        "last_updated": "2026-01-01T00:00:00.000Z",
    }


def error(status: int, code: int, words: str) -> Response:
    return Response(to_json({"status": {"error_code": code, "error_message": words}}), status)
