"""HEAD is GET without the body: its status and headers, which clients and proxies ask for first."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Heads:
    """An ASGI layer inside the guard. A long answer is broken off where its body would begin."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        answered = asyncio.Event()
        requests: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]

        async def without_body() -> Message:
            if requests:
                return requests.pop()
            await answered.wait()
            return {"type": "http.disconnect"}

        async def head_only(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
            elif not answered.is_set():
                answered.set()
                await send({"type": "http.response.body", "body": b"", "more_body": False})

        asgi = {**scope.get("asgi", {}), "spec_version": "2.3"}  # by which a stream ends with its client, not with an error
        await self._app({**scope, "method": "GET", "asgi": asgi}, without_body, head_only)
