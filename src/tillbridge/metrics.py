"""What a worker tells those who watch it: /healthz, /readyz and /metrics, on this machine only unless told.

Healthy: the process beats and dispatches. Ready: the database answers too. The
metrics are counted by this process; what stands in the shared tables is read
when somebody asks. No name of a person, no id of a record is a label.
"""

from __future__ import annotations

import threading
from collections import Counter as Count
from collections.abc import Callable, Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from tillbridge.engine.jobs import LANES, Job, Jobs
from tillbridge.store.service import Ended, Service

# A watcher that asks and never listens must not hold a thread for ever.
_PATIENCE_SECONDS = 10.0

_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


_Page = tuple[HTTPStatus, str, bytes]


class Meters:
    """What one process counts, and what the shared tables show."""

    def __init__(self, service: Service, jobs: Jobs, now: Callable[[], float]) -> None:
        self.registry = CollectorRegistry()
        self._service = service
        self._jobs = jobs
        self._now = now
        self._slices = Counter(
            "tillbridge_slices",
            "Slices of work that ended, by what they were and what came of them.",
            ["connection", "kind", "outcome"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "tillbridge_slice_seconds",
            "How long slices took.",
            ["kind"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._rows = Counter(
            "tillbridge_rows",
            "Rows by what became of them.",
            ["connection", "became"],
            registry=self.registry,
        )
        self.registry.register(self)

    def ended(self, job: Job, ended: Ended, seconds: float) -> None:
        """Count one slice."""
        self._slices.labels(job.connection, job.kind, ended.outcome).inc()
        self._seconds.labels(job.kind).observe(seconds)
        for name in ("created", "updated", "refused", "held"):
            if count := ended.counts.get(name):
                self._rows.labels(job.connection, name).inc(count)

    def collect(self) -> Iterator[Metric]:
        """Read the shared tables."""
        now = self._now()
        late = GaugeMetricFamily(
            "tillbridge_stream_late_seconds",
            "How long ago a stream should have begun; 0: in time.",
            labels=["connection", "kind", "stream"],
        )
        fails = GaugeMetricFamily(
            "tillbridge_stream_failures",
            "Failures of a stream in a row.",
            labels=["connection", "kind", "stream"],
        )
        for each in self._service.streams():
            labels = [each.connection, each.kind, each.name]
            waits = each.next_due is not None and not each.queued and not each.paused
            late.add_metric(labels, max(0.0, now - (each.next_due or now)) if waits else 0.0)
            fails.add_metric(labels, each.fails)
        backlog = GaugeMetricFamily(
            "tillbridge_jobs", "Jobs that wait or run, by lane.", labels=["lane", "state"]
        )
        standing: Count[tuple[str, str]] = Count((job.queue or "", job.state) for job in self._jobs.jobs())
        for lane in {queue.name for queue, _ in LANES.values()}:
            for state in ("waiting", "running"):
                backlog.add_metric([lane, state], standing[lane, state])
        workers = GaugeMetricFamily("tillbridge_workers", "Workers by whether they live.", labels=["state"])
        found = self._service.workers()
        workers.add_metric(["alive"], sum(not each.reaped for each in found))
        workers.add_metric(["dead"], sum(each.reaped for each in found))
        yield from (late, fails, backlog, workers)


class Watched:
    """The small server beside a worker. `healthy` and `ready` return what is wrong, or None."""

    def __init__(
        self,
        host: str,
        port: int,
        meters: Meters,
        *,
        healthy: Callable[[], str | None],
        ready: Callable[[], str | None],
    ) -> None:
        pages: dict[str, Callable[[], _Page]] = {
            "/healthz": lambda: _standing(healthy()),
            "/readyz": lambda: _standing(ready()),
            "/metrics": lambda: (HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(meters.registry)),
        }

        class Handler(BaseHTTPRequestHandler):
            timeout = _PATIENCE_SECONDS
            server_version = "tillbridge"
            sys_version = ""

            def do_GET(self) -> None:
                page = pages.get(self.path.partition("?")[0])
                status, kind, body = page() if page else (HTTPStatus.NOT_FOUND, "text/plain", b"not here\n")
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Say nothing: a watcher asks every few seconds."""

        self._server = ThreadingHTTPServer((host, port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="watched", daemon=True)

    @property
    def port(self) -> int:
        """Return the port it listens on."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()


def _standing(wrong: str | None) -> _Page:
    status = HTTPStatus.OK if wrong is None else HTTPStatus.SERVICE_UNAVAILABLE
    return status, "text/plain; charset=utf-8", f"{wrong or 'ok'}\n".encode()
