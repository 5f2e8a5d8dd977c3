"""A small HTTP face for a simulator: real sockets, keep-alive, gzip, and faults on demand.

The simulator itself is an `App`: a function from `Request` to `Response` run
under one lock. Faults (a reset before or after the work is done, a half body, a
hang, an error page) are decided here, outside the app, so that every endpoint
can suffer every one of them. Paths below `/control/` are the simulator's own
switchboard; they never fail on purpose and are not counted.
"""

from __future__ import annotations

import gzip
import json
import re
import socket
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

from tillbridge.simulators.clock import SimClock

# A body smaller than this travels as it is: packing it costs more than it saves.
GZIP_BYTES_MIN = 1_400


@dataclass(slots=True)
class Request:
    """One HTTP request. `headers` has lower-case names; `query` keeps order and repetition."""

    method: str
    target: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: bytes
    origin: str

    def param(self, name: str, default: str = "") -> str:
        """Return the last value of a query parameter."""
        return dict(self.query).get(name, default)

    def json(self) -> Any:
        """Parse the body as JSON; an empty body is None. Raises ValueError."""
        return json.loads(self.body) if self.body.strip() else None


@dataclass(slots=True)
class Response:
    """One HTTP answer; `headers` are sent as given."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, value: Any, status: int = 200, **headers: str) -> Response:
        """Answer with JSON."""
        return cls(
            status, json.dumps(value).encode(), {"Content-Type": "application/json;charset=UTF-8", **headers}
        )


class App(Protocol):
    """A simulator behind the HTTP face."""

    clock: SimClock

    def handle(self, request: Request) -> Response:
        """Answer one vendor request."""

    def control(self, request: Request) -> Response:
        """Answer one request below /control/ that the face does not answer itself."""


@dataclass(slots=True)
class Fault:
    """One thing that goes wrong, for requests whose `METHOD path?query` matches `match`.

    kind: "status" (answer `status`/`body`/`headers` without doing the work),
    "reset_before" (drop the connection, nothing done), "reset_after" (do the
    work, then drop it), "half_body" (do the work, send half of the answer, drop
    it), "hang" (do nothing for `seconds`, then drop it), "hang_after" (do the
    work first), "slow" (do the work, answer after `seconds`). `every`=3 means
    each third match; `times` stops it after so many hits (None: never).
    """

    kind: str
    match: str = ""
    status: int = 503
    body: str = "<html><body>Service Unavailable</body></html>"
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 30.0
    every: int = 1
    times: int | None = 1
    seen: int = 0
    hits: int = 0

    def strikes(self, line: str) -> bool:
        """Say whether this request suffers it, and count."""
        if (self.times is not None and self.hits >= self.times) or not re.search(self.match, line):
            return False
        self.seen += 1
        if self.seen % self.every:
            return False
        self.hits += 1
        return True


class Server:
    """A running simulator: `url` is its origin. Close it with `close()`."""

    def __init__(self, app: App, port: int = 0, host: str = "127.0.0.1") -> None:
        self.app = app
        self.lock = threading.RLock()
        self.faults: list[Fault] = []
        self.calls: Counter[str] = Counter()
        self.sleep: Callable[[float], None] = time.sleep
        handler = type("Handler", (_Handler,), {"face": self})
        self._http = _QuietServer((host, port), handler)
        self.url = f"http://{host}:{self._http.server_address[1]}"
        self._thread: threading.Thread | None = None

    def start(self) -> Server:
        """Serve in a thread of this process."""
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        self._thread.start()
        return self

    def serve_forever(self) -> None:
        """Serve until the process is told to stop."""
        self._http.serve_forever(poll_interval=0.2)

    def close(self) -> None:
        """Stop serving and free the port."""
        self._http.shutdown()
        self._http.server_close()
        if self._thread:
            self._thread.join()

    def answer(self, request: Request) -> tuple[Response, Fault | None]:
        """Do the work of one request, with what goes wrong on the way."""
        if request.path.startswith("/control/"):
            return self._control(request), None
        line = f"{request.method} {request.target}"
        with self.lock:
            fault = next((f for f in self.faults if f.strikes(line)), None)
            self.calls[f"{request.method} {request.path}"] += 1
            if fault is None or fault.kind in {"reset_after", "half_body", "hang_after", "slow"}:
                return self.app.handle(request), fault
        if fault.kind == "status":
            return Response(
                fault.status, fault.body.encode(), {"Content-Type": "text/html", **fault.headers}
            ), None
        return Response(), fault

    def _control(self, request: Request) -> Response:
        with self.lock:
            match request.method, request.path:
                case "GET", "/control/clock":
                    return Response.of(self._clock())
                case "POST", "/control/clock":
                    self._set_clock(request.json() or {})
                    return Response.of(self._clock())
                case "GET", "/control/calls":
                    return Response.of({"total": self.calls.total(), "by_path": dict(self.calls)})
                case "DELETE", "/control/calls":
                    self.calls.clear()
                    return Response.of({})
                case "POST", "/control/faults":
                    self.faults.append(Fault(**request.json()))
                    return Response.of({"active": len(self.faults)})
                case "GET", "/control/faults":
                    return Response.of(
                        [
                            {"kind": f.kind, "match": f.match, "seen": f.seen, "hits": f.hits}
                            for f in self.faults
                        ]
                    )
                case "DELETE", "/control/faults":
                    self.faults.clear()
                    return Response.of({})
            return self.app.control(request)

    def _clock(self) -> dict[str, Any]:
        now = self.app.clock.now()
        return {"epoch": now, "now": datetime.fromtimestamp(now, UTC).isoformat()}

    def _set_clock(self, wish: dict[str, Any]) -> None:
        if "set" in wish:
            self.app.clock.set(datetime.fromisoformat(wish["set"]).timestamp())
        if "advance" in wish:
            self.app.clock.advance(float(wish["advance"]))
        if "running" in wish:
            self.app.clock.run(bool(wish["running"]))


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent about a peer that went away, which is part of the game; a fault of ours is shown."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    face: Server
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def _serve(self) -> None:
        request = self._request()
        response, fault = self.face.answer(request)
        if fault is None:
            self._send(response)
            return
        if fault.kind in {"hang", "hang_after", "slow"}:
            self.face.sleep(fault.seconds)
        if fault.kind == "slow":
            self._send(response)
        elif fault.kind == "half_body":
            self._send(response, half=True)
            self._drop()
        else:
            self._drop()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _serve  # noqa: N815  The base class names them.

    def _request(self) -> Request:
        headers = {k.lower(): v for k, v in self.headers.items()}
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = self._chunked()
        else:
            body = self.rfile.read(int(headers.get("content-length") or 0))
        if headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        parts = urlsplit(self.path)
        query = parse_qsl(parts.query, keep_blank_values=True)
        origin = f"http://{headers.get('host', '127.0.0.1')}"
        return Request(self.command, self.path, unquote(parts.path), query, headers, body, origin)

    def _chunked(self) -> bytes:
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(parts)

    def _send(self, response: Response, *, half: bool = False) -> None:
        body, headers = response.body, dict(response.headers)
        if (
            len(body) >= GZIP_BYTES_MIN
            and "gzip" in self.headers.get("Accept-Encoding", "")
            and "Content-Encoding" not in headers
        ):
            body = gzip.compress(body, 1)
            headers["Content-Encoding"] = "gzip"
        headers.setdefault("Date", self._http_date())
        self._headers_buffer = [f"HTTP/1.1 {response.status} {_phrase(response.status)}\r\n".encode()]
        for name, value in headers.items():
            self.send_header(name, value)
        if response.status not in {204, 304}:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if half else body)
        self.wfile.flush()

    def _http_date(self) -> str:
        return datetime.fromtimestamp(self.face.app.clock.now(), UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")

    def _drop(self) -> None:
        # Linger 0 makes close() send RST: what a client sees when a proxy dies.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  The base class names it.
        """Stay silent: tests and the demo print their own story."""


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Status"
