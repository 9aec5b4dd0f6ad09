"""A connection through the test's hands, to cut and to lead elsewhere."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class Line:
    """To whichever port `target` is."""

    target: int
    url: str = ""
    open: list[asyncio.StreamWriter] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, out = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.close()
            return
        self.open += [writer, out]

        async def pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            try:
                while data := await source.read(65_536):
                    target.write(data)
                    await target.drain()
            except OSError:
                pass
            finally:
                target.close()

        await asyncio.gather(pass_on(reader, out), pass_on(there, writer))

    def cut(self) -> None:
        for one in self.open:
            one.transport.abort()
        self.open.clear()


@asynccontextmanager
async def laid(url: str) -> AsyncIterator[Line]:
    """A line to the server at `url`, as `line.url`."""
    line = Line(int(url.rpartition(":")[2]))
    server = await asyncio.start_server(line.serve, "127.0.0.1", 0)
    line.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        try:
            yield line
        finally:
            line.cut()
