"""What every answer tells a browser, whoever made it: take it as what it says it is, run nothing of it, frame it nowhere."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",  # for browsers that do not know frame-ancestors
    "Referrer-Policy": "no-referrer",
}
ENCODED = [(name.lower().encode(), text.encode()) for name, text in HEADERS.items()]


class Hardened:
    """The outermost ASGI layer. A page that needs more than nothing brings its own Content-Security-Policy, which stands."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def passing(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = [*message.get("headers", [])]
                names = {name.lower() for name, _ in own}
                message = {**message, "headers": own + [pair for pair in ENCODED if pair[0] not in names]}
            await send(message)

        await self._app(scope, receive, passing)
