"""The documentation as a site: it is built once here, as `make docs` does it, and every page of it is walked."""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [path for glob in ("*.md", "docs/**/*.md", "clients/*/*.md", "bench/*.md") for path in ROOT.glob(glob)]
OUTSIDE = re.compile(r"([a-z]+:)?//|mailto:")
FETCHED = {("script", "src"), ("link", "href"), ("img", "src"), ("iframe", "src"), ("source", "src"), ("video", "src")}


class Page(HTMLParser):
    """What a page holds: its anchors, where its links lead, and what a browser fetches with it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.ids.add(value)
            elif tag == "a" and name == "href" and value:
                self.links.append(value)
            elif (tag, name) in FETCHED and value:
                self.fetched.append(value)


def build(source: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """As the Makefile does it."""
    (recipe,) = re.findall(r"sphinx-build (.*)", (ROOT / "Makefile").read_text())
    words = shlex.split(recipe.replace("build/docs", shlex.quote(str(site))))
    return subprocess.run(
        [sys.executable, "-m", "sphinx", *words], cwd=source, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.mark.timeout(360)
def test_the_site_is_whole(tmp_path: Path) -> None:
    """One test, since building takes a while and workers that share the tests would each do it."""
    built = build(ROOT, tmp_path)
    assert built.returncode == 0, built.stderr
    pages = {path: Page(path) for path in tmp_path.rglob("*.html")}

    assert pages_missing(tmp_path) == []
    assert list(dead_links(pages)) == []
    assert pages_that_nobody_leads_to(tmp_path, pages) == []
    assert [*fetched_from_elsewhere(pages), *styled_from_elsewhere(tmp_path)] == []
    assert pages_that_are_not_found(tmp_path) == []


def pages_missing(site: Path) -> list[Path]:
    return [path for path in PAGES if not (site / path.relative_to(ROOT).with_suffix(".html")).is_file()]


def dead_links(pages: dict[Path, Page]) -> Iterator[str]:
    for path, page in pages.items():
        for link in page.links:
            if OUTSIDE.match(link):
                continue
            target, anchor = urldefrag(unquote(link))
            there = (path.parent / target).resolve() if target else path
            if not there.is_file() or (anchor and there in pages and anchor not in pages[there].ids):
                yield f"{path.name}: {link}"


def pages_that_nobody_leads_to(site: Path, pages: dict[Path, Page]) -> list[str]:
    """From `/`, which leads to the first page, whose navigation is on every page. The search is a field, not a link."""
    known: set[Path] = set()
    led = [site / "docs" / "index.html"]
    while led:
        path = led.pop()
        if path in pages and path not in known:
            known.add(path)
            led += [(path.parent / unquote(urldefrag(link)[0])).resolve() for link in pages[path].links]
    assert "docs/index.html" in (site / "index.html").read_text()
    return sorted({path.name for path in pages.keys() - known} - {"index.html", "search.html", "genindex.html"})


def fetched_from_elsewhere(pages: dict[Path, Page]) -> list[str]:
    return [f"{path.name}: {url}" for path, page in pages.items() for url in page.fetched if OUTSIDE.match(url)]


def styled_from_elsewhere(site: Path) -> list[str]:
    urls = re.compile(r"(?:url\(|@import )\s*[\"']?((?:https?:)?//[^\"')]+)")
    return [f"{path.name}: {url}" for path in site.rglob("*.css") for url in urls.findall(path.read_text())]


def pages_that_are_not_found(site: Path) -> list[str]:
    """The index of words is a script beside the pages, so that searching needs no server."""
    index = (site / "searchindex.js").read_text()
    assert index.startswith("Search.setIndex(")
    names = [path.relative_to(ROOT).with_suffix("").as_posix() for path in PAGES]
    return [name for name in names if f'"{name}"' not in index]


@pytest.mark.timeout(360)
def test_a_dead_link_a_dead_anchor_and_a_page_in_no_list_fail(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    shutil.copytree(ROOT / "docs" / "site", docs / "site")
    (docs / "index.md").write_text("# Index\n\n[no page](gone.md), [no anchor](#away)\n")
    (docs / "alone.md").write_text("# Nobody leads here\n")
    built = build(tmp_path, tmp_path / "built")

    assert built.returncode != 0
    assert [word for word in ("gone.md", "away", "alone.md") if word not in built.stderr] == []
