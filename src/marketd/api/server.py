"""The API inside the daemon's own loop."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path

import structlog
import uvicorn

from marketd.api.app import build_app, rules_of
from marketd.api.guard import is_loopback
from marketd.api.protocol import BoundedProtocol
from marketd.api.section import ApiConfig
from marketd.api.stream.serving import Stream, run_stream
from marketd.api.token import make_token
from marketd.api.views import Views
from marketd.errors import StartError
from marketd.rooms import room

log = structlog.get_logger("api")

GRACE_S = 1.0  # for answers that are under way when the daemon stops
BACKLOG = 512


class Server(uvicorn.Server):
    """Signals belong to whoever runs the daemon."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def run_api(config: ApiConfig, views: Views, data_dir: Path) -> AsyncIterator[str]:
    """Serve until the block is left; gives the address, as `http://127.0.0.1:8100`. Raises StartError for a busy port."""
    listening = listen(config.host, config.port)
    try:
        rules = rules_of(config, make_token(config, data_dir))
        app = build_app(config, views, rules)
        stream = Stream(config.stream, views, rules)
        host, port = listening.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        if not is_loopback(config.host) and config.token is None:
            log.warning("api.open", code="api-open", host=config.host, port=port)
        server = Server(
            uvicorn.Config(
                app,
                http=partial(BoundedProtocol, metrics=views.metrics, stream=stream),  # type: ignore[arg-type]
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=GRACE_S,  # type: ignore[arg-type]
                timeout_keep_alive=30,
            )
        )
        async with room("api") as here:
            serving = here.start("serve", server.serve([listening]))
            try:
                async with run_stream(stream, views.bus):
                    yield f"http://{shown}:{port}"
            finally:
                app.state.stopping.set()
                server.should_exit = True
                with suppress(TimeoutError):
                    async with asyncio.timeout(2 * GRACE_S):
                        await asyncio.shield(serving)
    finally:
        listening.close()


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises StartError that says what to change."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listening = socket.socket(family, kind, protocol)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(BACKLOG)
            listening.setblocking(False)
        except BaseException:
            listening.close()
            raise
    except socket.gaierror:
        raise StartError(f"api: {host} is no address of this machine; change it with HTTP_HOST or --host") from None
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM):
            raise StartError(f"api: {host}:{port} is not permitted; change the port with HTTP_PORT or --port") from None
        if error.errno == errno.EADDRNOTAVAIL:
            raise StartError(f"api: {host} is no address of this machine; change it with HTTP_HOST or --host") from None
        raise StartError(f"api: {host}:{port} is in use; change the port with HTTP_PORT or --port") from None
    return listening
