"""Let the due times of an installation follow its folders and their configurations as they are now.

What was good stays in force while something is not: a file that cannot be read
changes nothing, and a folder that is not there keeps its numbers and pauses, so
that it goes on at once when it is back. Each trouble is said once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from tillbridge import config, installation
from tillbridge.model.clock import Clock
from tillbridge.model.errors import ConfigurationInvalid, SyncError
from tillbridge.store.service import Service
from tillbridge.work import wanted_streams

_UNREADABLE = "the configuration cannot be read, as the log says; the last one that could stays in force"

_WHERE = "configuration"


class Planner:
    """What one serving process knows of an installation's connections."""

    def __init__(
        self,
        folder: Path,
        service: Service,
        clock: Clock,
        env: Mapping[str, str],
        *,
        on_gone: Callable[[str], None],
        on_trouble: Callable[[str, BaseException], None],
        on_well: Callable[[str], None] = lambda _where: None,
    ) -> None:
        self._folder = folder
        self._service = service
        self._clock = clock
        self._env = env
        self._on_gone = on_gone
        self._on_trouble = on_trouble
        self._on_well = on_well
        self._planned: dict[str, int] = {}
        self._unreadable: dict[str, int] = {}
        self._has_looked = False
        self._said: str | None = None
        self.wrong: str | None = None

    @property
    def planned(self) -> int:
        """Return how many connections are served."""
        return len(self._planned)

    def follow(self) -> None:
        """Plan anew; what cannot be read leaves everything as it was, is said once and stands in `wrong`."""
        try:
            self.plan()
        except (SyncError, OSError) as error:
            if str(error) != self._said:
                self._said = str(error)
                self._on_trouble(_WHERE, error)
            self.wrong = _UNREADABLE if isinstance(error, ConfigurationInvalid) else str(error)
        else:
            self._said = None
            self._on_well(_WHERE)

    def plan(self) -> None:
        """Plan what has changed. Raises ConfigurationInvalid where nothing can be served as it is.

        Where there is no connection yet nothing is due: whoever serves waits until somebody adds one.
        """
        found = installation.connections(self._folder)
        away = self._service.away()
        now = self._clock.now().timestamp()
        for name in away.keys() & found.keys():
            self._planned.pop(name, None)
        for name, home in found.items():
            self._plan(name, home, now, alone=len(found) == 1)
        self._leave(self._known() - found.keys(), now)
        self._has_looked = True
        self.wrong = None
        if not found and (gone := self._service.away()):
            self.wrong = f"no folder is there any more of {', '.join(sorted(gone))}: nothing is served"

    def _plan(self, name: str, home: Path, now: float, *, alone: bool) -> None:
        changed_at = (home / config.FILE_NAME).stat().st_mtime_ns
        if self._planned.get(name) == changed_at:
            return
        try:
            loaded = config.load(home, self._env)
        except ConfigurationInvalid as error:
            if alone:
                raise
            self._pass_over(name, changed_at, config.located(home, error))
            return
        self._service.plan_streams(name, wanted_streams(loaded), now)
        self._service.resume_limited(name, now)
        self._planned[name] = changed_at
        if self._unreadable.pop(name, None) is not None:
            self._on_well(f"connection {name}")

    def _known(self) -> set[str]:
        """Return whom we serve, and at first whoever was served before: their folders may have gone since."""
        return {*self._planned, *(() if self._has_looked else self._service.served())}

    def _leave(self, gone: set[str], now: float) -> None:
        for name in gone:
            self._planned.pop(name, None)
            self._on_gone(name)
            self._service.note_away(name, now)

    def _pass_over(self, name: str, changed_at: int, error: ConfigurationInvalid) -> None:
        """Leave a connection as it was whose configuration cannot be read: the others go on. Said once."""
        if self._unreadable.get(name) != changed_at:
            self._unreadable[name] = changed_at
            self._on_trouble(f"connection {name}", error)
