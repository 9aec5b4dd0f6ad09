"""The page: one file that needs nothing else, and nothing in it that a symbol or a reason could break."""

import re
from html.parser import HTMLParser

import msgspec

from marketd.backtest.page import page_text
from tests.backtest.markets import made_run


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.found.append(tag)
        if tag not in {"meta", "line", "polyline", "polygon"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        self.found.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_nothing_else() -> None:
    _, result = made_run()
    page = page_text(result)
    tags = Tags()
    tags.feed(page)

    assert tags.open == []
    assert {"svg", "table", "dl"} <= set(tags.found)
    assert {"script", "link", "img", "iframe"}.isdisjoint(tags.found)
    assert not re.search(r"https?://|url\(|@import", page)


def test_the_page_holds_every_trade_and_every_setting() -> None:
    _, result = made_run()
    page = page_text(result)

    assert page.count("<tr>") == len(result.trades) + len(result.coins) + len(result.rules) + 4 + sum(
        map(len, result.settings.values())
    )
    assert "paper.stop_percent" in page
    assert "analysis.squeeze_keltner" in page
    assert "max drawdown" in page


def test_the_same_candles_twice_give_the_same_page() -> None:
    assert page_text(made_run()[1]) == page_text(made_run()[1])


def test_words_from_elsewhere_are_words_only() -> None:
    _, result = made_run()
    page = page_text(msgspec.structs.replace(result, left_out={"<b>": "<script>alert(1)</script>"}))

    assert "<script>" not in page
    assert "&lt;script&gt;" in page
