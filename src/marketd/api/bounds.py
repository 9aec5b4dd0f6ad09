"""How large a request may be: its head; its body by Content-Length before any of it is read, and by its bytes while it comes."""

from fastapi import HTTPException
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from marketd.api.answers import TOO_LARGE, error_answer

HEAD_BYTES_MAX = 64 * 1024  # the server bounds what is not complete yet; a head that comes in one piece would pass there
BODY_BYTES_MAX = 256 * 1024  # a thousand symbols of forty characters, with room for how they are written


class Bounds:
    """An ASGI layer inside the guard: who may not ask at all is told that first."""

    def __init__(self, app: ASGIApp, largest: int = BODY_BYTES_MAX) -> None:
        self._app, self._largest = app, largest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        head = (
            len(scope["raw_path"])
            + len(scope["query_string"])
            + sum(len(name) + len(text) + 4 for name, text in scope["headers"])
        )
        if head > HEAD_BYTES_MAX:
            words = "the head of the request is too large"
            await error_answer(400, words, "request", f"at most {HEAD_BYTES_MAX:,} bytes")(scope, receive, send)
            return
        allowed = f"at most {self._largest:,} bytes"
        declared = Headers(scope=scope).get("content-length", "0")  # the server lets nothing through that is no number
        if len(declared.lstrip("0")) > 18 or int(declared) > self._largest:
            await error_answer(413, TOO_LARGE, "body", allowed)(scope, receive, send)
            return
        came, is_answered = 0, False

        async def counted() -> Message:
            nonlocal came
            message = await receive()
            came += len(message.get("body", b""))
            if came <= self._largest:
                return message
            if is_answered:  # a body that nobody asked for, under an answer that goes on
                return {**message, "body": b""}
            raise HTTPException(413, allowed)

        async def answering(message: Message) -> None:
            nonlocal is_answered
            is_answered = True
            await send(message)

        await self._app(scope, counted, answering)
