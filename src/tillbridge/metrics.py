"""What a worker tells those who watch it: /healthz, /readyz and /metrics, on this machine only unless told.

Healthy: the process beats and dispatches. Ready: the database answers too. The
metrics are counted by this process; what stands in the shared tables is read
when somebody asks. No name of a person, no id of a record is a label.
"""

from __future__ import annotations

import threading
from collections import Counter as Count
from collections.abc import Callable, Iterable, Iterator, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from tillbridge.engine.jobs import LANES, Job, Jobs
from tillbridge.model.errors import ConfigurationInvalid, SyncError
from tillbridge.spending import standings
from tillbridge.store.service import Ended, Service
from tillbridge.sync.freshness import Landed
from tillbridge.sync.quota import Lane

# A watcher that asks and never listens must not hold a thread for ever.
_PATIENCE_SECONDS = 10.0

_FRESH_SECONDS = (1, 5, 10, 30, 60, 90, 120, 180, 300, 600, 1_800, 3_600, 21_600, 86_400)
_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


REFUSED = (
    "The figures are for watchers: ask from an address in console.metrics_from, or send a token with the "
    "scope metrics."
)

_Page = tuple[HTTPStatus, str, bytes]


class Meters:
    """What one process counts, and what the shared tables show."""

    def __init__(self, service: Service, jobs: Jobs, now: Callable[[], float], dead_after: float) -> None:
        """Begin to count. `dead_after`: a worker that was silent for so many seconds counts as dead."""
        self.registry = CollectorRegistry()
        self._service = service
        self._jobs = jobs
        self._now = now
        self._dead_after = dead_after
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
        self._delay = Histogram(
            "tillbridge_start_delay_seconds",
            "How long after its due time a slice began.",
            ["kind"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._freshness = Histogram(
            "tillbridge_freshness_seconds",
            "How long news took on their way to the CRM, by stage; stage total: the whole way.",
            ["connection", "kind", "stage"],
            buckets=_FRESH_SECONDS,
            registry=self.registry,
        )
        self._calls = Counter(
            "tillbridge_calls",
            "API calls by remote and endpoint.",
            ["remote", "endpoint"],
            registry=self.registry,
        )
        self._spent = Counter(
            "tillbridge_spent",
            "What was drawn from quotas, by lane: calls, or drips of a bucket.",
            ["connection", "quota", "lane"],
            registry=self.registry,
        )
        self._problems = Gauge(
            "tillbridge_problems",
            "Records that the CRM refuses, by cause.",
            ["connection", "cause"],
            registry=self.registry,
        )
        self._causes: dict[str, set[str]] = {}
        self.registry.register(self)

    def began(self, job: Job, delay_seconds: float) -> None:
        """Note how late a slice began."""
        self._delay.labels(job.kind).observe(max(0.0, delay_seconds))

    def landed(self, connection: str, landed: Iterable[Landed]) -> None:
        """Note how fresh what has just landed is."""
        for each in landed:
            self._freshness.labels(connection, each.kind, "total").observe(each.seconds)
            for stage, seconds in each.stages().items():
                self._freshness.labels(connection, each.kind, stage).observe(seconds)

    def called(self, remote: str, calls: Mapping[str, int]) -> None:
        """Count calls by endpoint."""
        for endpoint, count in calls.items():
            if count:
                self._calls.labels(remote, endpoint).inc(count)

    def spent(self, connection: str, spent: Mapping[tuple[str, Lane], float]) -> None:
        """Count what was drawn from quotas."""
        for (quota, lane), cost in spent.items():
            self._spent.labels(connection, quota, lane).inc(cost)

    def problems(self, connection: str, causes: Mapping[str, int]) -> None:
        """Note the open problems of a connection; a cause that is gone shows 0."""
        for cause in self._causes.get(connection, set()) - causes.keys():
            self._problems.labels(connection, cause).set(0)
        for cause, count in causes.items():
            self._problems.labels(connection, cause).set(count)
        self._causes[connection] = self._causes.get(connection, set()) | causes.keys()

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
        streams = self._service.streams()
        for each in streams:
            labels = [each.connection, each.kind, each.name]
            at_work = each.queued and (each.began_at or 0) > (each.ended_at or 0)
            waits = each.next_due is not None and not each.paused and not at_work
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
        alive = len(self._service.living(self._dead_after))
        workers.add_metric(["alive"], alive)
        workers.add_metric(["dead"], len(self._service.workers()) - alive)
        left = GaugeMetricFamily(
            "tillbridge_budget_left",
            "What is left of a quota in a window, for all connections together; window bucket: drips.",
            labels=["quota", "window"],
        )
        cap = GaugeMetricFamily(
            "tillbridge_budget_cap", "What is ours of a quota in a window.", labels=["quota", "window"]
        )
        for found in standings(self._service, now):
            left.add_metric([found.name, found.window], found.left)
            cap.add_metric([found.name, found.window], found.cap)
        paused = GaugeMetricFamily(
            "tillbridge_stream_paused",
            "1: a stream waits for API calls, or for a person to resume it.",
            labels=["connection", "kind", "stream"],
        )
        stopped = self._service.stopped()
        for each in streams:
            waits = each.paused or each.connection in stopped or each.limited(now)
            paused.add_metric([each.connection, each.kind, each.name], float(waits))
        yield from (late, fails, backlog, workers, left, cap, paused)


class Watched:
    """The small server beside a worker. `healthy` and `ready` return what is wrong, or None.

    `may_watch` says who may read the figures: by address, the host they asked for, and their authorization.
    """

    def __init__(
        self,
        host: str,
        port: int,
        meters: Meters,
        *,
        healthy: Callable[[], str | None],
        ready: Callable[[], str | None],
        may_watch: Callable[[str, str, str], bool],
    ) -> None:
        pages: dict[str, Callable[[], _Page]] = {
            "/healthz": lambda: _standing(healthy()),
            "/readyz": lambda: _standing(ready()),
            "/metrics": lambda: _figures(meters),
        }

        class Handler(BaseHTTPRequestHandler):
            timeout = _PATIENCE_SECONDS
            server_version = "tillbridge"
            sys_version = ""

            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                page = pages.get(path)
                asks = (self.client_address[0], *(self.headers.get(n, "") for n in ("Host", "Authorization")))
                if path == "/metrics" and not may_watch(*asks):
                    page = _refused
                status, kind, body = page() if page else (HTTPStatus.NOT_FOUND, "text/plain", b"not here\n")
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Say nothing: a watcher asks every few seconds."""

        try:
            self._server = ThreadingHTTPServer((host, port), Handler)
        except OSError as error:
            reason = f"{host}:{port} cannot be listened on: {error.strerror}; another port: --port"
            raise ConfigurationInvalid([("service.port", reason)]) from error
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


def _figures(meters: Meters) -> _Page:
    try:
        return HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(meters.registry)
    except SyncError as error:  # The database does not answer: what stands there cannot be told.
        return _standing(str(error))


def _refused() -> _Page:
    return HTTPStatus.UNAUTHORIZED, "text/plain; charset=utf-8", f"{REFUSED}\n".encode()


def _standing(wrong: str | None) -> _Page:
    status = HTTPStatus.OK if wrong is None else HTTPStatus.SERVICE_UNAVAILABLE
    return status, "text/plain; charset=utf-8", f"{wrong or 'ok'}\n".encode()
