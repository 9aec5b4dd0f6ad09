"""The REST client: GETs with a deadline, whole bodies, errors in words."""

import asyncio
from collections.abc import Mapping
from typing import Self

import httpx

from marketd.errors import Disconnected, words_of

BODY_BYTES_MAX = 128 * 1024 * 1024


class Http:
    """A pool of connections to one host."""

    def __init__(self, *, within_s: float = 15.0, bytes_max: int | None = None, user_agent: str = "marketd") -> None:
        self._within_s, self._bytes_max = within_s, bytes_max or BODY_BYTES_MAX
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(within_s), headers={"User-Agent": user_agent}, follow_redirects=False
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def get(
        self, url: str, params: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers (names in lower case) and body. Raises Disconnected when there is no answer."""
        try:
            async with (
                asyncio.timeout(self._within_s),  # httpx only limits the wait for the next part
                self._client.stream("GET", url, params=params or None, headers=headers or None) as response,
            ):
                body = bytearray()
                async for part in response.aiter_bytes():
                    body += part
                    if len(body) > self._bytes_max:
                        raise Disconnected(f"{url}: the answer is larger than {self._bytes_max:,} bytes")
                return response.status_code, {name.lower(): value for name, value in response.headers.items()}, bytes(body)
        except TimeoutError as error:
            raise Disconnected(f"{url}: no whole answer within {self._within_s:g} s") from error
        except httpx.LocalProtocolError as error:  # its words repeat the header, which may be a key
            raise Disconnected(f"{url}: the question cannot be asked so: a header or the address is malformed") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Disconnected(f"{url}: {words_of(error)}") from error
