"""What takes a while and is watched by somebody: done in a thread, with its progress to look at.

An errand lives in this process only. What it has found is kept by whoever gave
it; one that a restart has ended is simply done again.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from tillbridge.engine.connection import Bar
from tillbridge.logs import logger
from tillbridge.model.errors import SyncError


@dataclass(slots=True)
class Stage:
    """One bar of an errand. Without a total it only counts."""

    title: str
    total: int | None
    count: int = 0
    ended: bool = False

    def advance(self, count: int = 1) -> None:
        """Move on."""
        self.count += count

    def close(self) -> None:
        """End it."""
        self.ended = True


@dataclass(slots=True)
class Errand:
    """One errand: how far it is, and how it ended. It is the progress that its work is handed."""

    what: str
    state: Literal["running", "done", "failed"] = "running"
    why: str = ""
    stages: list[Stage] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    came: dict[str, object] = field(default_factory=dict)  # for the audit log: what came of it

    @property
    def runs(self) -> bool:
        """Say whether it is still under way."""
        return self.state == "running"

    def bar(self, title: str, total: int | None = None) -> Bar:
        """Begin a bar."""
        stage = Stage(title, total)
        self.stages.append(stage)
        return stage

    def say(self, text: str) -> None:
        """Tell one thing."""
        self.said.append(text)


Work = Callable[[Errand], None]


class Errands:
    """All errands of a process: one of each name at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str], Errand] = {}

    def start(self, connection: str, what: str, work: Work) -> Errand:
        """Begin an errand, unless it is under way already."""
        with self._lock:
            known = self._known.get((connection, what))
            if known is not None and known.runs:
                return known
            errand = self._known[connection, what] = Errand(what)
        threading.Thread(target=_run, args=(errand, work), name=f"set-up {what}", daemon=True).start()
        return errand

    def of(self, connection: str, what: str) -> Errand | None:
        """Return an errand as it is now."""
        with self._lock:
            return self._known.get((connection, what))

    def under_way(self, connection: str) -> list[str]:
        """Return what is being done for a connection right now."""
        with self._lock:
            return [what for (name, what), each in self._known.items() if name == connection and each.runs]

    def forget(self, connection: str) -> None:
        """Forget what has ended of a connection's."""
        with self._lock:
            for key in [key for key, each in self._known.items() if key[0] == connection and not each.runs]:
                del self._known[key]


def _run(errand: Errand, work: Work) -> None:
    try:
        work(errand)
    except (SyncError, OSError) as error:
        errand.why = str(error)
        errand.state = "failed"
    except Exception as error:  # noqa: BLE001  Our own bug: said in the log and on the page.
        frame = traceback.extract_tb(error.__traceback__)[-1]
        logger().error("set-up broken", errand=errand.what, error=type(error).__name__, at=frame.lineno)
        errand.why = (
            f"Tillbridge made a mistake ({type(error).__name__}); its log says where. Please report it."
        )
        errand.state = "failed"
    else:
        errand.state = "done"
