"""The built dashboard is served with the right headers, and nothing but it."""

import gzip
from pathlib import Path

import httpx
import pytest
from starlette.responses import PlainTextResponse

from marketd.api.dashboard import CSP, Dashboard, files_of

SCRIPT = "console.log(1);" * 200


@pytest.fixture
def built(tmp_path: Path) -> Path:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html><title>marketd</title>")
    (tmp_path / "assets" / "index-abc123.js").write_text(SCRIPT)
    return tmp_path


def asking(directory: Path) -> httpx.AsyncClient:
    layer = Dashboard(PlainTextResponse("the API", 404), files=files_of(directory))
    return httpx.AsyncClient(transport=httpx.ASGITransport(layer), base_url="http://127.0.0.1")


async def test_the_page_is_at_the_root_and_asked_for_anew_each_time(built: Path) -> None:
    async with asking(built) as client:
        page = await client.get("/")
        again = await client.get("/", headers={"If-None-Match": page.headers["etag"]})

    assert (200, "text/html; charset=utf-8", "no-cache") == (
        page.status_code, page.headers["content-type"], page.headers["cache-control"],
    )  # fmt: skip
    assert (304, b"") == (again.status_code, again.content)


async def test_a_file_with_its_hash_in_its_name_is_kept_for_ever(built: Path) -> None:
    async with asking(built) as client:
        script = await client.get("/assets/index-abc123.js")

    assert "immutable" in script.headers["cache-control"]
    assert ("text/javascript; charset=utf-8", "gzip") == (script.headers["content-type"], script.headers["content-encoding"])
    assert SCRIPT == script.text


async def test_who_takes_no_gzip_gets_the_file_as_it_is(built: Path) -> None:
    async with asking(built) as client:
        script = await client.get("/assets/index-abc123.js", headers={"Accept-Encoding": "identity"})
        head = await client.head("/assets/index-abc123.js")

    assert "content-encoding" not in script.headers
    assert SCRIPT == script.text
    assert (200, b"", len(gzip.compress(SCRIPT.encode(), mtime=0))) == (
        head.status_code, head.content, int(head.headers["content-length"]),
    )  # fmt: skip


async def test_scripts_come_from_here_only_and_nobody_frames_the_page(built: Path) -> None:
    async with asking(built) as client:
        headers = (await client.get("/")).headers

    assert headers["content-security-policy"] == CSP
    assert "script-src 'self';" in CSP
    assert "unsafe" not in CSP
    assert "frame-ancestors 'none'" in CSP
    assert "nosniff" == headers["x-content-type-options"]


@pytest.mark.parametrize("path", ["/status", "/assets/none.js", "/../secret", "/assets/../../secret", "/index.htm"])
async def test_everything_else_is_the_apis(built: Path, path: str) -> None:
    (built.parent / "secret").write_text("secret")
    async with asking(built) as client:
        assert "the API" == (await client.get(path)).text


async def test_what_is_not_built_is_not_served(tmp_path: Path) -> None:
    async with asking(tmp_path) as client:
        assert "the API" == (await client.get("/")).text
        assert "the API" == (await client.post("/")).text
