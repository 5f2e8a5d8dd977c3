"""Eight verbs behind which DBOS Transact is a queue, and nothing else: no other file knows its name.

start, stop, enqueue, cancel, jobs, result, recover, purge. A job is a short slice
that can be run again; truth stands in our own tables, so a lost or replaced
engine costs at most queued triggers, which the due times in `stream` bring back.

What a reader would get wrong: a job whose worker died stays where it is until
somebody recovers it, and blocks its connection and kind meanwhile. DBOS does so
at its start only, for its own id; `recover` is that for the dead ones (see
engine.schedule, whose heartbeat calls it).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import msgspec
import sqlalchemy as sa

from tillbridge.model.errors import Busy, Halted, LimitReached, Transient
from tillbridge.store.service import Changes, Service, job_id

# A constant: DBOS's own, a hash of the sources, would strand queued jobs with every release. It is
# raised only when payloads change incompatibly, after all queues were drained.
_APPLICATION_VERSION = "1"
_NAME = "tillbridge"

# What the engine's library calls itself in logs.
LIBRARY = "dbos"

# A job whose process has ended so many times in a row is given up on. Its stream begins again within a minute
# (see engine.schedule), so this only bounds how long one row is tried: machines that are restarted again and
# again must not make a load wait for that minute.
_ATTEMPTS_MAX = 100

# So many rows go in one delete.
_PURGED_AT_ONCE = 1_000

# The engine looks so seldom into a queue of its own that we never use.
_OWN_QUEUE_SECONDS = 60.0

# A queue is looked into after so long although nobody has changed anything: a place in this process that
# was just left is in no table.
_LOOK_SECONDS_MAX = 5.0

_WAITING = ("ENQUEUED", "DELAYED")
_RUNNING = "PENDING"


class Queue(msgspec.Struct, frozen=True):
    """A lane of jobs: how many run at once in one process, and how soon an idle one looks again."""

    name: str
    at_once: int
    look_seconds: float


# Queues are apart because priority holds inside a partition only: a person must never wait behind a load.
# Each look starts as many as may run at once: thirty every two seconds would be too few for five hundred
# connections. While nothing happens nobody looks into a file (see _Look); on PostgreSQL, looking is most of
# what an idle worker burns: half of a core's percent for each look a second.
URGENT = Queue("urgent", 8, 1.0)
SYNC = Queue("sync", 30, 1.0)
BACKFILL = Queue("backfill", 4, 2.0)
QUEUES = (URGENT, SYNC, BACKFILL)

# Kind: its queue and its priority there; lower is first, and unset would be before all.
LANES: dict[str, tuple[Queue, int]] = {
    "force": (URGENT, 10),
    "replay": (SYNC, 50),
    "poll": (SYNC, 100),
    "notify": (SYNC, 200),
    "cross-check": (BACKFILL, 300),
    "certify": (BACKFILL, 350),
    "sweep": (BACKFILL, 400),
    "backfill": (BACKFILL, 500),
}


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker is handed. `gen` is the stream's number of it, or a word where a person asks."""

    connection: str
    kind: str
    name: str = ""
    gen: int | str = 0
    wanted: dict[str, list[str]] = {}  # what a forced run is to carry: ids by kind

    @property
    def id(self) -> str:
        """Return its id in the queue."""
        return job_id(self.connection, self.kind, self.name, self.gen)


class Listed(msgspec.Struct, frozen=True):
    """One job as the queue shows it."""

    id: str
    state: str  # waiting, running, done, failed, cancelled, given up
    queue: str | None
    worker: str | None
    created_at: float | None
    began_at: float | None


_STATES = {
    "ENQUEUED": "waiting",
    "DELAYED": "waiting",
    "PENDING": "running",
    "SUCCESS": "done",
    "ERROR": "failed",
    "CANCELLED": "cancelled",
    "MAX_RECOVERY_ATTEMPTS_EXCEEDED": "given up",
}

Work = Callable[[Job], dict[str, Any]]


class Enqueues(Protocol):
    """Where the dispatcher puts what is due."""

    def enqueue(self, job: Job, transaction: sa.Connection | None = None) -> None:
        """Queue a job, together with whatever else the transaction holds."""


class Jobs:
    """The queue of one installation, as one process sees it. A process that only asks never starts it."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._client_made: Any = None
        self._lock = threading.Lock()
        self._started = self._laid_out = False

    # --- running -------------------------------------------------------------------------------

    def start(self, executor: str, work: Work, queues: Sequence[Queue] = QUEUES) -> None:
        """Begin to work off the queue. `executor` is this very start of this process, and never another."""
        made = self._launch(executor, work)
        from dbos import DBOS

        for queue in queues:
            changes = self._service.watch()
            registered = DBOS.register_queue(
                queue.name,
                worker_concurrency=queue.at_once,
                partition_concurrency=1,
                polling_interval_sec=queue.look_seconds,
                on_conflict="always_update",
            )
            if changes is not None:
                _listen(made, registered, changes)
        self._started = True

    def stop(self, seconds: int) -> None:
        """Take no more jobs, and give those that run so long to end; the others are recovered later."""
        if self._started:
            from dbos import DBOS

            DBOS.destroy(workflow_completion_timeout_sec=seconds)
            self._started = False
        with self._lock:
            if self._client_made is not None:
                self._client_made.destroy()
                self._client_made = None

    def _launch(self, executor: str, work: Work) -> Any:
        from dbos import DBOS, DBOSConfig, WorkflowSerializationFormat

        _quiet()
        url = self._service.url.render_as_string(hide_password=False)
        config = DBOSConfig(
            name=_NAME,
            system_database_url=url,
            executor_id=executor,
            application_version=_APPLICATION_VERSION,
            sys_db_pool_size=10,
            log_level="ERROR",
            run_migrations=True,
        )
        if self._service.is_sqlite:
            # Its own would have no WAL, and times a second coarse (see store.service).
            config["system_database_engine"] = self._service.quick
        made = DBOS(config=config)
        # Its own queue, which nothing of ours goes through, would be looked into every second.
        made._registry.get_internal_queue()._polling_interval_sec = _OWN_QUEUE_SECONDS  # noqa: SLF001  See above.

        @DBOS.workflow(
            name="job",
            max_recovery_attempts=_ATTEMPTS_MAX,
            serialization_type=WorkflowSerializationFormat.PORTABLE,
        )
        def run(payload: dict[str, Any]) -> dict[str, Any]:
            return work(msgspec.convert(payload, Job))

        self._run = run
        if self._service.is_sqlite:
            DBOS.listen_queues([])  # Its own threads would look whether anything has changed or not.
        DBOS.launch()
        return made

    def _client(self) -> Any:
        with self._lock:
            if self._client_made is None:
                from dbos import DBOSClient

                _quiet()
                if self._service.is_sqlite:
                    self._client_made = DBOSClient(
                        system_database_engine=self._service.engine, application_name=_NAME
                    )
                else:
                    self._client_made = DBOSClient(
                        system_database_url=self._service.url.render_as_string(hide_password=False),
                        application_name=_NAME,
                        system_database_pool_size=5,
                    )
            return self._client_made

    def _is_laid_out(self) -> bool:
        """Say whether the queue has all its tables: in the first moments of the first service it has not."""
        if not self._laid_out:
            from dbos import _migration

            # Not public; without it, whoever looks while a worker lays them out meets half of them.
            engine = self._service.engine
            recorded, latest = (
                _migration.get_sqlite_migration_versions(engine)
                if self._service.is_sqlite
                else _migration.get_migration_versions(engine, "dbos", use_listen_notify=True)
            )
            self._laid_out = recorded >= latest
        return self._laid_out

    # --- queueing ------------------------------------------------------------------------------

    def enqueue(self, job: Job, transaction: sa.Connection | None = None) -> None:
        """Queue a job; with a transaction of the service's, together with whatever else it holds."""
        from dbos import WorkflowSerializationFormat

        queue, priority = LANES[job.kind]
        options = {
            "workflow_name": "job",
            "queue_name": queue.name,
            "workflow_id": job.id,
            "queue_partition_key": f"{job.connection}:{job.kind}",
            "priority": priority,
            "app_version": _APPLICATION_VERSION,
            "serialization_type": WorkflowSerializationFormat.PORTABLE,
        }
        payload = msgspec.to_builtins(job)
        if transaction is None:
            self._client().enqueue(options, payload)
        else:
            self._client().enqueue_in_transaction(transaction, options, payload)

    def cancel(self, ids: Collection[str]) -> None:
        """Take jobs out of the queue that have not begun; those that run are stopped by a mark of ours.

        A running job that is cancelled here would free its place while it still works.
        """
        waiting = [j.id for j in self.jobs(ids=ids) if j.state == "waiting"]
        if waiting:
            self._client().cancel_workflows(waiting)

    def jobs(
        self,
        *,
        ids: Collection[str] | None = None,
        connection: str | None = None,
        finished: bool = False,
        limit: int = 1_000,
    ) -> list[Listed]:
        """Return jobs, the oldest first: what runs and waits, or with `finished` or by ids all."""
        if (ids is not None and not ids) or not self._is_laid_out():
            return []
        wanted = None if finished or ids is not None else [*_WAITING, _RUNNING]
        rows = self._client().list_workflows(
            workflow_ids=list(ids) if ids is not None else None,
            workflow_id_prefix=f"{connection}/" if connection else None,
            status=wanted,
            limit=limit,
            load_input=False,
            load_output=False,
        )
        return [
            Listed(
                id=row.workflow_id,
                state=_STATES.get(row.status, row.status.lower()),
                queue=row.queue_name,
                worker=row.executor_id if row.status == _RUNNING else None,
                created_at=_seconds(row.created_at),
                began_at=_seconds(getattr(row, "dequeued_at", None)),
            )
            for row in rows
        ]

    def result(self, job: str) -> dict[str, Any] | None:
        """Return what a job has answered; None while it has not ended. Raises what made it fail."""
        rows = self._client().list_workflows(workflow_ids=[job], load_input=False)
        if not rows or rows[0].status in {*_WAITING, _RUNNING}:
            return None
        if rows[0].status != "SUCCESS":
            raise JobFailed(_STATES.get(rows[0].status, rows[0].status))
        answer: dict[str, Any] = rows[0].output or {}
        return answer

    # --- keeping it going ----------------------------------------------------------------------

    def recover(self, executors: Sequence[str]) -> int:
        """Queue again what dead workers had begun; a job that has moved on meanwhile stays as it is."""
        if not executors:
            return 0
        from dbos import DBOS

        # The public way, resume_workflows, forgets how often a job has already taken a process with it.
        # A contract test kills a worker, so that a release without this method fails there.
        handles = DBOS._recover_pending_workflows(list(executors))  # noqa: SLF001  See above.
        return len(handles)

    def orphans(self, living: Collection[str]) -> list[str]:
        """Return the workers that hold running jobs and are not among these."""
        rows = self._client().list_workflows(status=_RUNNING, load_input=False, load_output=False)
        return sorted({row.executor_id for row in rows if row.executor_id not in living})

    def purge(self, *, quiet_hours: float = 1.0, failed_days: float = 30.0) -> int:
        """Delete rows of jobs that ended a while ago; what became of records is in our own tables."""
        now, gone = datetime.now(UTC), 0
        ages = (
            (["SUCCESS", "CANCELLED"], timedelta(hours=quiet_hours)),
            (["ERROR", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"], timedelta(days=failed_days)),
        )
        for states, age in ages:
            while True:
                rows = self._client().list_workflows(
                    status=states,
                    completed_before=(now - age).isoformat(),
                    limit=_PURGED_AT_ONCE,
                    load_input=False,
                    load_output=False,
                )
                if rows:
                    self._client().delete_workflows([row.workflow_id for row in rows])
                gone += len(rows)
                if len(rows) < _PURGED_AT_ONCE:
                    break
        return gone


class _Look(threading.Event):
    """Between two looks into a queue: waits on while nothing has changed, and until the engine stops.

    The engine takes it for the event that it waits for between looks. On PostgreSQL a look is the question
    whether anything has changed, and there is nothing to be saved.
    """

    def __init__(self, changes: Changes) -> None:
        super().__init__()
        self._changes = changes

    def wait(self, timeout: float | None = None) -> bool:
        """Return False when it is time to look, True when there will be no more looks."""
        latest = time.monotonic() + _LOOK_SECONDS_MAX
        while not super().wait(timeout):
            if self._changes.is_new() or time.monotonic() >= latest:
                return False
        self._changes.close()
        return True


def _listen(engine: Any, queue: Any, changes: Changes) -> None:
    """Let the engine work off a queue, in its own way and in a thread that it stops like its own."""
    from dbos._queue import queue_worker_thread

    look = _Look(changes)
    thread = threading.Thread(
        target=queue_worker_thread, args=(look, engine, queue), name=f"queue {queue.name}", daemon=True
    )
    engine.background_thread_stop_events.append(look)
    engine._background_threads.append(thread)  # noqa: SLF001  Contract tests start and stop it.
    thread.start()


class JobFailed(Exception):
    """A job did not end as it should: failed, cancelled or given up."""


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1_000


def _quiet() -> None:
    """Let the engine log what goes wrong, and nothing else."""
    logging.getLogger(LIBRARY).setLevel(logging.ERROR)


def check_done(answer: Mapping[str, Any]) -> None:
    """Raise what a worker met, as the answer of its job tells it; return when the job was done."""
    why, seconds = str(answer.get("why")), answer.get("retry_after")
    match answer["outcome"]:
        case "done":
            return
        case "limit":
            raise LimitReached(why, quota="", resume_after_seconds=seconds)
        case "remote_down":
            raise Transient(why, retry_after_seconds=seconds)
        case "gave way":
            raise Busy(why)
    raise Halted(why)


def why_not(answer: Mapping[str, Any]) -> str:
    """Say for people why a job that has ended was not done."""
    why = str(answer.get("why") or "It was not done.")
    if answer.get("outcome") != "limit":
        return why
    return f"It waits for API calls: {why.rstrip('.')}. Nothing is lost; send it again then."
