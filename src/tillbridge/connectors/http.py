"""How a request leaves this machine and how its answer, or the lack of one, comes back.

One call has one deadline over connecting, sending and receiving together: the
library's own time-outs start anew with every byte, so that a server which
drips would hold us for ever. Failures of the network become `Transient`;
statuses are the connectors' business. The deadline is real time, also where
everything else runs on a simulated clock: a hang is real. Nothing here puts
a header, a query or a body into an error or a log.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import IO, Any, Self
from urllib.parse import quote, unquote, urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import httpcore2
import httpx2

from tillbridge import __version__
from tillbridge.model.errors import ConfigurationInvalid, Transient
from tillbridge.model.hosts import is_loopback

USER_AGENT = f"tillbridge/{__version__}"

# Enough for any single call to either remote; streams name their own.
TOTAL_SECONDS = 60.0

# One unanswered address must not eat the whole deadline while another would answer.
CONNECT_SECONDS_MAX = 15.0

# A stream may last long, but not be silent for long.
SILENCE_SECONDS_MAX = 60.0

# The largest honest answers (a hundred fat sales, an org's describe) stay below 20 MB.
BODY_BYTES_MAX = 64 * 1024 * 1024

# Below the 5 s after which common servers (uvicorn among them) hang up an idle connection.
KEEP_ALIVE_SECONDS = 4.0

CONNECTIONS_MAX = 16

# These change nothing on the other side, so losing their answer leaves nothing unknown.
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

Params = Mapping[str, str] | Sequence[tuple[str, str]]
Content = bytes | IO[bytes] | Iterable[bytes]


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A complete answer. `headers` ignore case; a redirect is an answer too and never followed.

    `sent` is 2 when a question had to be repeated on a new connection.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    sent: int = 1

    @property
    def date(self) -> datetime | None:
        """Return the server's clock as it answered, or None if it did not say (or garbled it)."""
        return http_date(self.headers.get("date"))

    @property
    def retry_after_seconds(self) -> float | None:
        """Return the wait that the server asked for, whichever of the two legal forms it used."""
        value = self.headers.get("retry-after", "").strip()
        if value.isascii() and value.replace(".", "", 1).isdigit():
            return float(value)
        until = http_date(value)
        return None if until is None else max(0.0, (until - (self.date or datetime.now(UTC))).total_seconds())


def http_date(value: str | None) -> datetime | None:
    """Read an HTTP date (RFC 9110 §5.6.7) as an aware UTC moment."""
    if not value:
        return None
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


class HttpStream:
    """An answer whose body is still on its way. Leave the `with` block to hang up early."""

    def __init__(self, response: httpx2.Response, host: str, *, safe: bool, sent: int) -> None:
        self._response = response
        self._host = host
        self._safe = safe
        self.status: int = response.status_code
        self.headers: Mapping[str, str] = response.headers
        self.sent = sent

    def chunks(self) -> Iterator[bytes]:
        """Yield the unpacked body as it comes. A body that breaks off raises Transient."""
        with _translated(self._host, safe=self._safe):
            yield from self._response.iter_bytes()

    def lines(self) -> Iterator[bytes]:
        """Yield the body by lines, ends included: fit for `csv` after decoding."""
        rest = b""
        for chunk in self.chunks():
            pieces = (rest + chunk).splitlines(keepends=True) if rest else chunk.splitlines(keepends=True)
            # The last piece waits: its end, or the \n of its \r\n, may still come.
            rest = pieces.pop() if pieces else b""
            yield from pieces
        if rest:
            yield rest

    def read(self, bytes_max: int = BODY_BYTES_MAX) -> bytes:
        """Return the whole body: for answers that turned out to be errors."""
        return _read_body(self, self._host, bytes_max, safe=self._safe)


class Http:
    """Connections to any number of hosts, kept alive and shared by threads."""

    def __init__(self, *, total_seconds: float = TOTAL_SECONDS, body_bytes_max: int = BODY_BYTES_MAX) -> None:
        self._total_seconds = total_seconds
        self._body_bytes_max = body_bytes_max
        self._pools: dict[str | None, httpcore2.ConnectionPool] = {}
        self._lock = threading.Lock()

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Params | None = None,
        content: Content | None = None,
        timeout_total: float | None = None,
        body_bytes_max: int | None = None,
    ) -> HttpAnswer:
        """Send one request and return its whole answer, whatever its status.

        Content is bytes, an open binary file (its length is sent), or chunks: give
        "Content-Length" in `headers` if you know it. Raises Transient when no whole
        answer came; `outcome_unknown` is then true unless the method is safe or
        nothing can have been sent.
        """
        with self.stream(
            method,
            url,
            headers=headers,
            params=params,
            content=content,
            timeout_total=timeout_total or self._total_seconds,
            silence_seconds_max=None,
        ) as answer:
            body = answer.read(body_bytes_max or self._body_bytes_max)
            return HttpAnswer(answer.status, answer.headers, body, answer.sent)

    @contextmanager
    def stream(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Params | None = None,
        content: Content | None = None,
        timeout_total: float | None = None,
        silence_seconds_max: float | None = SILENCE_SECONDS_MAX,
    ) -> Iterator[HttpStream]:
        """Send one request and hand over its answer while the body still comes. Fails like `request`."""
        host = checked_host(url)
        safe = method.upper() in SAFE_METHODS
        target = f"{url}{'&' if '?' in url else '?'}{encode_params(params)}" if params else url
        pool = self._pool(host, target)  # Reading the system's certificates takes its time, once.
        deadline = _Deadline(timeout_total or self._total_seconds, silence_seconds_max)
        send = {"method": method, "url": target, "headers": headers, "content": content}
        with _translated(host, safe=safe, deadline=deadline):
            response, sent = _sent(pool, send, deadline, safe=safe)
        try:
            yield HttpStream(response, host, safe=safe, sent=sent)
        finally:
            response.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up everywhere. Another request opens anew."""
        with self._lock:
            pools = list(self._pools.values())
            self._pools.clear()
        for pool in pools:
            pool.close()

    def _pool(self, host: str, url: str) -> httpcore2.ConnectionPool:
        """Return the pool for the way to this host: direct, or through the environment's proxy."""
        proxy = _proxy_for(host, urlsplit(url).scheme)
        with self._lock:
            if proxy not in self._pools:
                self._pools[proxy] = _new_pool(proxy)
            return self._pools[proxy]


class Relay(Http):
    """A way that leads through another one, for whoever has something to do with each request.

    The other one stays open: others use it.
    """

    def __init__(self, shared: Http) -> None:
        super().__init__()
        self._shared = shared

    def before(self, url: str, timeout_total: float | None) -> float | None:  # noqa: ARG002  For those who look at it.
        """Be told of a request before it is sent; return how long all of it may take. May raise."""
        return timeout_total

    def answered(self, url: str, status: int) -> None:
        """Be told that a request was answered."""

    def broke(self) -> None:
        """Be told that a request came to nothing."""

    @contextmanager
    def stream(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Params | None = None,
        content: Content | None = None,
        timeout_total: float | None = None,
        silence_seconds_max: float | None = SILENCE_SECONDS_MAX,
    ) -> Iterator[HttpStream]:
        """Send one request through the other way. Fails as that does, or as `before`."""
        timeout_total = self.before(url, timeout_total)
        try:
            with self._shared.stream(
                method,
                url,
                headers=headers,
                params=params,
                content=content,
                timeout_total=timeout_total,
                silence_seconds_max=silence_seconds_max,
            ) as answer:
                self.answered(url, answer.status)
                yield answer
        except Transient:
            self.broke()
            raise

    def close(self) -> None:
        """Leave the other way open."""


def encode_params(params: Params) -> str:
    """Percent-encode everything that is not plain: operators, commas, plus signs, brackets."""
    return urlencode(params if isinstance(params, Mapping) else list(params), quote_via=quote, safe="")


def checked_host(url: str) -> str:
    """Return the host of a URL that we may call: https, or plain http to this machine."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise ConfigurationInvalid([("", "an address to call is no valid URL")]) from None
    if parts.scheme not in {"http", "https"} or not host or parts.username is not None:
        raise ConfigurationInvalid(
            [("", "an address to call must look like https://host (without user name)")]
        )
    if parts.scheme == "http" and not is_loopback(host):
        raise ConfigurationInvalid(
            [("", f"http://{host} would send secrets in the clear; use https://{host}")]
        )
    return host


class _Deadline(float):
    """A time-out that knows when it began. Passed where the library wants seconds for one operation."""

    at: float
    silence: float | None
    connected: bool  # a new connection was opened for this request

    def __new__(cls, total_seconds: float, silence_seconds_max: float | None) -> Self:
        made = super().__new__(cls, total_seconds)
        made.at = time.monotonic() + total_seconds
        made.silence = silence_seconds_max
        made.connected = False
        return made

    def left(self, error: type[Exception]) -> float:
        """Return the seconds that the next operation may take; raise `error` if there are none."""
        left = self.at - time.monotonic()
        if left <= 0:
            raise error
        return left if self.silence is None else min(left, self.silence)


def _left(timeout: float | None, error: type[Exception]) -> float | None:
    return timeout.left(error) if isinstance(timeout, _Deadline) else timeout


class _DeadlineBackend(httpcore2.NetworkBackend):
    """Opens connections whose every operation is bounded by what is left of the whole request's time."""

    def __init__(self) -> None:
        self._plain = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        """Try the host's addresses one after the other within the deadline."""
        if isinstance(timeout, _Deadline):
            timeout.connected = True
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpcore2.ConnectError(error) from error
        failure: Exception = httpcore2.ConnectError("the name has no address")
        for address in dict.fromkeys(str(entry[4][0]) for entry in found):
            left = _left(timeout, httpcore2.ConnectTimeout)
            seconds = CONNECT_SECONDS_MAX if left is None else min(left, CONNECT_SECONDS_MAX)
            try:
                return _DeadlineStream(
                    self._plain.connect_tcp(address, port, seconds, local_address, socket_options)
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
        raise failure


class _DeadlineStream(httpcore2.NetworkStream):
    """A connection whose reads and writes end when the whole request's time is over."""

    def __init__(self, plain: httpcore2.NetworkStream) -> None:
        self._plain = plain

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._plain.read(max_bytes, _left(timeout, httpcore2.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        # Not the library's loop: it grants the full time again for every piece that a slow reader takes.
        connection: socket.socket = self._plain.get_extra_info("socket")
        view = memoryview(buffer)
        try:
            while view:
                connection.settimeout(_left(timeout, httpcore2.WriteTimeout))
                view = view[connection.send(view) :]
        except TimeoutError as error:
            raise httpcore2.WriteTimeout(error) from error
        except OSError as error:
            raise httpcore2.WriteError(error) from error

    def close(self) -> None:
        self._plain.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.NetworkStream:
        left = _left(timeout, httpcore2.ConnectTimeout)
        return _DeadlineStream(self._plain.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        return self._plain.get_extra_info(info)


def _new_pool(proxy: str | None) -> httpcore2.ConnectionPool:
    """Make a pool that trusts the system's certificate authorities (or SSL_CERT_FILE)."""
    common: dict[str, Any] = {
        "ssl_context": httpx2.create_ssl_context(),
        "max_connections": CONNECTIONS_MAX,
        "keepalive_expiry": KEEP_ALIVE_SECONDS,
        "network_backend": _DeadlineBackend(),
    }
    if proxy is None:
        return httpcore2.ConnectionPool(**common)
    parts = urlsplit(proxy)
    auth = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
    bare = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    return httpcore2.HTTPProxy(bare, proxy_auth=auth, **common)


def _proxy_for(host: str, scheme: str) -> str | None:
    """Return the environment's proxy for this host. This machine is never reached through one."""
    if is_loopback(host):
        return None
    proxies = getproxies()
    proxy = proxies.get(scheme) or proxies.get("all")
    if not proxy or proxy_bypass(host):
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    if urlsplit(proxy).scheme not in {"http", "https"}:
        raise ConfigurationInvalid([("", "the proxy named in the environment is not an http or https one")])
    return proxy


def _sent(
    pool: httpcore2.ConnectionPool, send: dict[str, Any], deadline: _Deadline, *, safe: bool
) -> tuple[httpx2.Response, int]:
    """Send and wait for the head of the answer; return it and how often it was asked for."""
    try:
        return _exchange(pool, send, deadline), 1
    except (httpcore2.RemoteProtocolError, httpcore2.ReadError, httpcore2.WriteError):
        # The server hung up an idle connection just as we used it. Nothing is lost by
        # asking again, once, provided that it was an old connection and only a question.
        if not safe or deadline.connected:
            raise
        return _exchange(pool, send, deadline), 2


def _exchange(pool: httpcore2.ConnectionPool, send: dict[str, Any], deadline: _Deadline) -> httpx2.Response:
    """Put one request on a connection and read the head of its answer."""
    request = httpx2.Request(
        send["method"],
        send["url"],
        headers={"User-Agent": USER_AGENT, "Accept-Encoding": "gzip", **(send["headers"] or {})},
        content=send["content"],
    )
    answer = pool.handle_request(
        httpcore2.Request(
            method=request.method,
            url=httpcore2.URL(
                scheme=request.url.raw_scheme,
                host=request.url.raw_host,
                port=request.url.port,
                target=request.url.raw_path,
            ),
            headers=request.headers.raw,
            content=request.stream,
            extensions={"timeout": dict.fromkeys(("connect", "read", "write", "pool"), deadline)},
        )
    )
    return httpx2.Response(answer.status, headers=answer.headers, stream=_Body(answer), request=request)


class _Body(httpx2.SyncByteStream):
    """The raw bytes of an answer, for the library to unpack."""

    def __init__(self, answer: httpcore2.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        yield from self._answer.iter_stream()

    def close(self) -> None:
        self._answer.close()


def _read_body(stream: HttpStream, host: str, bytes_max: int, *, safe: bool) -> bytes:
    """Collect a body, but no more of it than we are ready to hold (a packed bomb unpacks in small steps)."""
    pieces: list[bytes] = []
    size = 0
    for chunk in stream.chunks():
        size += len(chunk)
        if size > bytes_max:
            raise Transient(
                f"{host} answered with more than {bytes_max // 1_048_576} MB, which was cut off",
                outcome_unknown=not safe,
            )
        pieces.append(chunk)
    return b"".join(pieces)


@contextmanager
def _translated(host: str, *, safe: bool, deadline: _Deadline | None = None) -> Iterator[None]:
    """Turn the library's failures into ours, saying whether the request may have been carried out."""
    try:
        yield
    except (
        httpcore2.ConnectError,
        httpcore2.ConnectTimeout,
        httpcore2.PoolTimeout,
        httpcore2.ProxyError,
    ) as error:
        cause = error.args[0] if error.args and isinstance(error.args[0], Exception) else error
        if isinstance(cause, ssl.SSLCertVerificationError):
            raise ConfigurationInvalid(
                [("", f"the certificate of {host} is not trusted: {cause.verify_message}")]
            ) from None
        raise Transient(f"{host} could not be reached: {_reason(cause)}") from None
    except (httpcore2.TimeoutException, TimeoutError):
        seconds = "" if deadline is None else f" within {float(deadline):g} seconds"
        raise Transient(f"{host} did not answer completely{seconds}", outcome_unknown=not safe) from None
    except (httpcore2.LocalProtocolError, UnicodeEncodeError, httpx2.InvalidURL):
        # The library's text would show the value, which may be a token.
        raise ValueError("a header or an address holds characters that HTTP does not allow") from None
    except (httpcore2.NetworkError, httpcore2.ProtocolError, httpx2.DecodingError):
        raise Transient(
            f"{host} broke off before its answer was complete", outcome_unknown=not safe
        ) from None


def _reason(error: BaseException) -> str:
    """Word why a connection failed, by the system's own text; a proxy's refusal by its status line."""
    if isinstance(error, httpcore2.TimeoutException | TimeoutError):
        return "no answer to the connection attempt"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or "no connection"
