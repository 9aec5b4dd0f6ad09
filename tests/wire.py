"""A way to a server that a test can cut: the bytes stop, and nobody is told."""

import asyncio


class Wire:
    """Between a client and a server on 127.0.0.1; what is sent while it is cut is lost."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.is_cut = False
        self._ends: list[asyncio.StreamWriter] = []
        self._group = asyncio.TaskGroup()

    async def __aenter__(self) -> "Wire":
        await self._group.__aenter__()
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for end in self._ends:
            end.transport.abort()
        await self._group.__aexit__(None, None, None)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        self._ends += [writer, back]
        self._group.create_task(self._carry(reader, back))
        self._group.create_task(self._carry(there, writer))

    async def _carry(self, source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65_536):
                if not self.is_cut:
                    to.write(data)
        except OSError:
            pass
        if not self.is_cut:
            to.close()
