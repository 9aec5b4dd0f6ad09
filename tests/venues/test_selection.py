"""Which pairs follow from a ranking, and that the list stands still at its edge."""

from collections.abc import Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st

from marketd.model.instruments import Instrument
from marketd.venues.coingecko import Coin
from marketd.venues.selection import PATIENCE, Standing, candidates, choose, ranked, resume


def coins(*tickers: str) -> list[Coin]:
    return [Coin(f"{ticker.lower()}-{place}", ticker, place + 1) for place, ticker in enumerate(tickers)]


def listed(*pairs: str, status: str = "trading") -> list[Instrument]:
    split = [pair.split("/") for pair in pairs]
    return [Instrument("v", base + quote, f"{base}-{quote}", base, quote, status=status) for base, quote in split]


def test_each_coin_gives_one_pair_in_the_order_of_the_ranking() -> None:
    venue = listed("ETH/USDT", "BTC/USDC", "BTC/USDT", "SOL/USDT", "ETH/BTC")

    assert ["BTCUSDT", "ETHUSDT", "SOLUSDT"] == candidates(coins("BTC", "NONE", "ETH", "SOL"), venue)


def test_of_coins_that_share_a_ticker_the_best_one_counts_and_ids_come_once() -> None:
    ranking = [
        Coin("late", "AAA", 9),
        Coin("first", "AAA", 2),
        Coin("unranked", "AAA", None),
        Coin("b", "BBB", 1),
        Coin("b", "BBB", 3),
    ]

    assert [("b", 1), ("first", 2)] == [(coin.id, coin.rank) for coin in ranked(ranking)]


def test_the_dollar_in_which_a_venue_lists_the_most_is_preferred() -> None:
    mostly_usd = listed("BTC/USD", "ETH/USD", "SOL/USD", "BTC/USDT", "XRP/USDT")

    assert ["BTCUSD", "XRPUSDT"] == candidates(coins("BTC", "XRP"), mostly_usd)


def test_quotes_can_be_named_and_nothing_else_is_taken_then() -> None:
    venue = listed("BTC/USDT", "BTC/EUR", "ETH/USDT", "SOL/EUR", "SOL/TRY")

    assert ["BTCEUR", "SOLEUR"] == candidates(coins("BTC", "ETH", "SOL"), venue, ("EUR", "TRY"))


def test_money_leverage_and_what_is_not_traded_are_left_out() -> None:
    ranking = coins("BTC", "USDC", "EUR", "BTCUP", "BTC3L", "JUP", "HALT", "SYRUP")
    venue = listed(*(f"{coin.ticker}/USDT" for coin in ranking if coin.ticker != "HALT")) + listed("HALT/USDT", status="BREAK")

    assert ["BTCUSDT", "JUPUSDT", "SYRUPUSDT"] == candidates(ranking, venue)


def test_what_is_left_out_is_a_setting_but_a_quote_is_never_a_base() -> None:
    venue = listed("USDC/USDT", "EUR/USDT", "BTC/USDT")

    assert ["USDCUSDT", "BTCUSDT"] == candidates(coins("USDC", "EUR", "BTC"), venue, ("USDT",), ("EUR",))


def test_a_run_begins_with_the_fallback_pairs_and_what_an_earlier_one_ended_with() -> None:
    saved = {"C": Standing(4), "A": Standing(-1), "B": Standing(2, 1), "D": Standing(9)}

    assert {"X": Standing(-1), "A": Standing(-1), "B": Standing(2, 1), "C": Standing(4)} == resume(saved, ["X", "A"], 4)


def test_fallback_pairs_come_first_and_count() -> None:
    chosen = choose(["A", "B", "C", "D"], {}, ["C", "X"], 4, 0.0)

    assert ["C", "X", "A", "B"] == list(chosen)


def test_a_pair_at_the_edge_does_not_flap() -> None:
    names = [f"S{place}" for place in range(30)]
    running = choose(names, {}, [], 20, 0.1)
    swapped = [*names[:19], "S20", "S19", *names[21:]]

    assert set(running) == set(choose(swapped, running, [], 20, 0.1))


def test_a_pair_that_fell_below_the_band_goes_and_one_that_rose_above_it_comes() -> None:
    names = [f"S{place}" for place in range(30)]
    running = choose(names, {}, [], 20, 0.1)
    fallen = [name for name in names[:25] if name != "S5"] + ["S5", *names[25:]]
    risen = ["S29", *names[:29]]

    assert (set(running) - {"S5"} | {"S20"}) == set(choose(fallen, running, [], 20, 0.1))
    assert (set(running) - {"S19"} | {"S29"}) == set(choose(risen, running, [], 20, 0.1))


def test_a_pair_that_is_missing_keeps_its_place_for_a_while() -> None:
    running: Mapping[str, Standing] = choose(["A", "B", "C"], {}, [], 2, 0.5)
    seen = []
    for _ in range(PATIENCE):
        running = choose(["A", "C"], running, [], 2, 0.5)
        seen.append(list(running))

    assert seen == [["A", "B"]] * (PATIENCE - 1) + [["A", "C"]]


RANKINGS = st.lists(st.permutations([f"S{place}" for place in range(12)]).flatmap(
    lambda names: st.integers(0, 12).map(lambda count: names[:count])
), min_size=1, max_size=8)  # fmt: skip
FALLBACK = st.lists(st.sampled_from(["S0", "S3", "F1", "F2", "F2"]), max_size=4)


@given(RANKINGS, FALLBACK, st.integers(1, 14), st.floats(0, 1))
def test_whatever_the_rankings_there_are_never_more_pairs_than_the_limit(
    rankings: Sequence[Sequence[str]], fallback: Sequence[str], limit: int, margin: float
) -> None:
    running: Mapping[str, Standing] = {}
    for ranking in rankings:
        before, running = running, choose(ranking, running, fallback, limit, margin)
        first = list(dict.fromkeys(fallback))[:limit]
        others = [name for name in ranking if name not in first]

        assert len(running) <= limit
        assert list(running)[: len(first)] == first
        assert set(running) <= {*ranking, *before, *first}
        assert len(running) >= min(limit, len(first) + len(others))
        assert set(choose(ranking, running, fallback, limit, margin)) >= {
            name for name in running if name in ranking or name in first
        }


@given(st.permutations(range(5)), st.permutations(range(5)))
def test_within_the_band_no_order_moves_anything(one: Sequence[int], other: Sequence[int]) -> None:
    """20 places, a band of 2 on each side: S18 to S21 may stand as they like."""
    names = [f"S{place}" for place in range(30)]
    running = choose(names, {}, [], 20, 0.1)
    seen = []
    for order in (one, other):
        band = [f"S{18 + place}" for place in order if place < 4]
        running = choose([*names[:18], *band, *names[22:]], running, [], 20, 0.1)
        seen.append(set(running))

    assert seen == [set(names[:20])] * 2
