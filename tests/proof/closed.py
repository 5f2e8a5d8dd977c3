"""A world without a network: the same client and the same simulators, joined by a function call.

Nothing here runs beside anything else: no thread, no socket in use. So a whole
world, clients included, can be copied by a fork at any of its I/O steps, and the
same script leads to the same end. What a network does to a call is done here by
the simulators' own faults and comes back as `connectors.http` words it; that it
does so over real sockets is shown in tests/connectors/test_http.py.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

import httpcore2
import httpx2
from sqlalchemy.util import LRUCache
from world import KEYS, World

from tillbridge.connectors.http import SAFE_METHODS, Http, HttpStream, checked_host, encode_params
from tillbridge.model.errors import Transient
from tillbridge.simulators.httpd import Fault, Request, Response, Server


class Watch(Protocol):
    """Told of each request, before it leaves and when the server has done its work."""

    def __call__(self, name: str, *, answered: bool) -> None: ...


def unwatched(_name: str, *, answered: bool) -> None:
    """Watch nothing."""


# What says when a row came, not what it is; and numbers that the org deals out by itself.
CIRCUMSTANCES = {"Id", "CreatedDate", "LastModifiedDate", "SystemModstamp", "ContactId", "PersonContactId"}


_STATEMENTS: LRUCache[Any, Any] = LRUCache(1_000)


class Wire(Http):
    """Carries a request to the simulator that its address names. `watch` is told before and after each."""

    def __init__(self, faces: Mapping[str, Server], watch: Watch, wait: Callable[[float], None]) -> None:
        super().__init__()
        self._faces = faces
        self._watch = watch
        self._wait = wait

    @contextmanager
    def stream(self, method, url, *, headers=None, params=None, content=None, **_times: Any):
        """Send one request; fail as the network would if a fault strikes it."""
        host, safe = checked_host(url), method.upper() in SAFE_METHODS
        target = f"{url}{'&' if '?' in url else '?'}{encode_params(params)}" if params else url
        asked = httpx2.Request(method, target, headers=headers, content=content)
        parts = urlsplit(str(asked.url))
        face = self._faces[f"{parts.scheme}://{parts.netloc}"]
        self._watch(f"{method} {parts.path}", answered=False)
        response, fault = face.answer(_received(asked))
        self._watch(f"{method} {parts.path}", answered=True)
        if fault is not None:
            self._suffer(fault, host, safe=safe)
        half = fault is not None and fault.kind == "half_body"
        yield HttpStream(_answered(response, face, half=half), host, safe=safe, sent=1)

    def _suffer(self, fault: Fault, host: str, *, safe: bool) -> None:
        if fault.kind in {"hang", "hang_after", "slow"}:
            self._wait(fault.seconds)
        if fault.kind in {"hang", "hang_after"}:
            raise Transient(
                f"{host} did not answer completely within {fault.seconds:g} seconds", outcome_unknown=not safe
            )
        if fault.kind in {"reset_before", "reset_after"}:
            raise Transient(f"{host} broke off before its answer was complete", outcome_unknown=not safe)


class _Half(httpx2.SyncByteStream):
    """A body that breaks off in the middle."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        yield self._body[: len(self._body) // 2]
        raise httpcore2.RemoteProtocolError("the connection was closed")


def _received(asked: httpx2.Request) -> Request:
    parts, body = urlsplit(str(asked.url)), asked.read()
    headers = {name.lower(): value for name, value in asked.headers.items()}
    if headers.get("content-encoding") == "gzip":
        body = gzip.decompress(body)
    return Request(
        asked.method,
        parts.path + (f"?{parts.query}" if parts.query else ""),
        unquote(parts.path),
        parse_qsl(parts.query, keep_blank_values=True),
        headers,
        body,
        f"{parts.scheme}://{parts.netloc}",
    )


def _answered(response: Response, face: Server, *, half: bool) -> httpx2.Response:
    now = datetime.fromtimestamp(face.app.clock.now(), UTC)
    headers = {"Date": format_datetime(now, usegmt=True), **response.headers}
    body: Any = {"stream": _Half(response.body)} if half else {"content": response.body}
    return httpx2.Response(response.status, headers=headers, **body)


class ClosedWorld(World):
    """A world whose calls are function calls."""

    watch: Watch = staticmethod(unwatched)

    def serve(self, app):
        return Server(app)

    def way(self):
        faces = {server.url: server for server in (self.till_server, self.crm_server)}
        return Wire(faces, self.watch, self.clock.sleep)

    @contextmanager
    def opened(self, **wishes):
        with super().opened(**wishes) as parts:
            # Each run opens the home anew, as a process would; only the wording of SQL is worked out once.
            parts.state._engine._compiled_cache = _STATEMENTS
            yield parts

    def close(self):
        for server in (self.till_server, self.crm_server):
            server._http.server_close()

    # --- what both sides hold ---------------------------------------------------------------------

    def contents(self):
        """Return every row with a key of ours and every price, lookups as keys, and the till's customers."""
        keyed = {name: self.rows(name) for name in KEYS}
        key_of = {row["Id"]: row_key for rows in keyed.values() for row_key, row in rows.items()}

        def shown(row):
            return {
                name: key_of.get(value, value) if isinstance(value, str) else value
                for name, value in row.items()
                if name not in CIRCUMSTANCES and not (name == "Name" and str(value).startswith("C-"))
            }

        found = {name: {row_key: shown(row) for row_key, row in rows.items()} for name, rows in keyed.items()}
        prices = (shown(row) for row in self.all_rows("PricebookEntry"))
        ordered = sorted(prices, key=lambda row: (row["Product2Id"], row["UnitPrice"]))
        found["PricebookEntry"] = {str(n): row for n, row in enumerate(ordered)}
        found["till"] = {str(i): _timeless(row) for i, row in self.till_app.world["Customer"].rows.items()}
        found["people"] = {"count": {"n": len(self.all_rows(self.person_object))}}
        return found

    def stamps(self):
        """Return when each row was last written: equal before and after a run that wrote nothing."""
        tables = (self.org.tables[name] for name in (*KEYS, "PricebookEntry") if name in self.org.tables)
        till = {("till", i): str(row["timeStamp"]) for i, row in self.till_app.world["Customer"].rows.items()}
        return till | {i: row["SystemModstamp"] for table in tables for i, row in table.rows.items()}

    def repeated_keys(self):
        """Return keys that more than one row bears."""
        found = {}
        for name, field in KEYS.items():
            for row in self.org.tables[name].rows.values() if name in self.org.tables else ():
                if row.get(field):
                    found.setdefault((name, row[field]), []).append(row["Id"])
        return {row_key: ids for row_key, ids in found.items() if len(ids) > 1}


def _timeless(row):
    """Return a customer of the till without the moments at which it was written."""
    shown = {name: value for name, value in row.items() if name not in {"timeStamp", "createTime", "Contact"}}
    return shown | {name: value for name, value in row["Contact"].items() if name != "timeStamp"}


def differing(expected, actual):
    """Return what differs, field by field, so that a failure can be read."""
    found = {}
    for name in expected:
        for row_key in expected[name].keys() | actual[name].keys():
            one, other = expected[name].get(row_key, {}), actual[name].get(row_key, {})
            fields = {
                f: (one.get(f), other.get(f)) for f in one.keys() | other.keys() if one.get(f) != other.get(f)
            }
            if fields:
                found[name, row_key] = fields
    return found
