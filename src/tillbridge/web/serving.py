"""The console's server: uvicorn in a thread of the service's process, on a socket that we open ourselves."""

from __future__ import annotations

import asyncio
import socket
import threading

import uvicorn
from fastapi import FastAPI

from tillbridge.model.errors import ConfigurationInvalid

# So long an answer that is under way may take when the service ends: the whole process has ten seconds.
_GRACE_SECONDS = 2

# Above what people and watchers ask at once; whoever wants to keep us busy gets a 503.
_AT_ONCE_MAX = 200


# The server looks so often whether it is to end, and renews the date that it answers with.
_TICK_SECONDS = 0.5


class _Server(uvicorn.Server):
    """uvicorn, which would wake up ten times a second."""

    async def main_loop(self) -> None:
        # It renews the date at every tenth tick, and would count tenths of a second.
        while not await self.on_tick(0):  # noqa: ASYNC110  Its end is a flag that another thread sets.
            await asyncio.sleep(_TICK_SECONDS)


class Served:
    """A console that answers from `start` to `close`."""

    def __init__(self, app: FastAPI, host: str, port: int) -> None:
        self._socket = _listen(host, port)
        self._server = _Server(
            uvicorn.Config(
                app,
                access_log=False,  # One-time links are part of addresses.
                log_config=None,
                http="h11",
                ws="none",
                lifespan="off",
                server_header=False,
                proxy_headers=True,
                # A proxy on this machine may say for whom it asks, and that it was asked over TLS.
                forwarded_allow_ips=["127.0.0.1", "::1"],
                limit_concurrency=_AT_ONCE_MAX,
                timeout_keep_alive=20,
                timeout_graceful_shutdown=_GRACE_SECONDS,
            )
        )
        self._streams = app.state.console.streams
        self._thread = threading.Thread(target=self._run, name="console", daemon=True)

    @property
    def port(self) -> int:
        """Return the port it listens on."""
        return int(self._socket.getsockname()[1])

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self) -> None:
        """Answer no more; what is under way may end."""
        self._streams.end()  # They would last for an hour.
        self._server.should_exit = True
        self._thread.join(_GRACE_SECONDS + 2)

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind((host, port))
    except OSError as error:
        opened.close()
        reason = f"{host}:{port} cannot be listened on: {error.strerror}"
        raise ConfigurationInvalid([("service.port", reason)]) from error
    opened.listen(128)
    return opened
