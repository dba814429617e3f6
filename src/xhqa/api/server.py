"""The HTTP server, which ends when the questions it has taken are answered."""

from __future__ import annotations

import asyncio
import socket

import uvicorn

from xhqa.api.workers import Workers

_POLL_SECONDS = 0.05


class DrainingServer(uvicorn.Server):
    """On SIGTERM or Ctrl-C it takes no new connections, and waits for the questions at work."""

    def __init__(self, config: uvicorn.Config, workers: Workers, seconds: float) -> None:
        """``seconds``: how long it waits at most."""
        super().__init__(config)
        self._workers = workers
        self._seconds = seconds

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for opened in sockets or ():
            opened.close()
        loop = asyncio.get_running_loop()
        until = loop.time() + self._seconds
        while self._workers.taken and not self.force_exit and loop.time() < until:
            await asyncio.sleep(_POLL_SECONDS)
        await super().shutdown(sockets)
