"""Play the story once; at each I/O step stop a copy of everything, throw its memory away, and let it go on.

    python stops.py FOLDER shop|people [--all]

A step is an HTTP request or a commit that wrote something; there is a point
before and a point after each (after a request: the server has done its work,
and nobody has heard of it). A copy is a fork: both simulators and the clock are
as they were at that moment, the state file is copied as it lies on the disk
(its uncommitted part too), and nothing of the client is closed or unwound, as
when the power goes.

What goes on after a stop has only the disk and the simulators. Where neither
has changed since the last stop (nothing but reads lay between), it would be the
same run again; one stop stands for all such points, unless `--all` is given.

Prints one JSON document: what was covered, and what failed.
"""

from __future__ import annotations

import gc
import json
import os
import pickle
import shutil
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "stories")]

import sqlalchemy as sa  # noqa: E402  The path comes first.
from closed import ClosedWorld, differing, unwatched  # noqa: E402
from script import BETWEEN, STORIES, Scene, play, raise_curtain  # noqa: E402


class Calm(NamedTuple):
    """How the undisturbed run ends: what the CRM holds, and what we remember."""

    contents: dict
    states: dict


class Copies:
    """Forks of this process, some at a time; what each has to say is read when it ends."""

    def __init__(self, folder: Path, at_once: int) -> None:
        self._folder = folder
        self._at_once = at_once
        self._running: dict[int, Path] = {}
        self.said: list[object] = []

    def start(self, name: str, work: Callable[[], object]) -> None:
        """Do some work in a copy; what it returns, or the error that ended it, is what the copy says."""
        while len(self._running) >= self._at_once:
            self._reap()
        said = self._folder / f"{name}.said"
        if child := os.fork():
            self._running[child] = said
            return
        try:
            said.write_bytes(pickle.dumps(work()))
        except BaseException:  # noqa: BLE001  Whatever it was is told, and then this copy ends.
            said.write_bytes(pickle.dumps(f"{name}: {traceback.format_exc()}"))
        finally:
            os._exit(0)

    def finish(self) -> list[object]:
        """Wait for all; return what they said, without those that had nothing to say."""
        while self._running:
            self._reap()
        said, self.said = self.said, []
        return said

    def _reap(self) -> None:
        child, status = os.wait()
        path = self._running.pop(child)
        said = pickle.loads(path.read_bytes()) if path.exists() else f"{path.stem}: ended with {status}"
        path.unlink(missing_ok=True)
        if said:
            self.said.append(said)


class Stops:
    """Counts the I/O steps of the undisturbed run, and stops a copy where there is news to resume from."""

    def __init__(
        self, world: ClosedWorld, scenes: Sequence[Scene], copies: Copies, calm: Calm, *, everywhere: bool
    ) -> None:
        self._world = world
        self._scenes = scenes
        self._copies = copies
        self._calm = calm
        self._everywhere = everywhere
        self._scene = 0
        self._written = 0
        self._is_news = True
        self._is_curtain_up = False
        self.steps: Counter[str] = Counter()
        self.till_writes = 0
        self.stops = 0

    def play(self) -> None:
        """Play the story, stopping everywhere."""
        self._world.watch = self._at_call
        for event, listener in self._listeners():
            sa.event.listen(sa.Engine, event, listener)
        for number, scene in enumerate(self._scenes):
            self._scene = number
            self._is_curtain_up = False  # What people do is not a run of ours: it happens, and only once.
            raise_curtain(self._world, self._scenes, self._scene)
            self._is_curtain_up = True
            self._is_news = True
            scene.run(self._world)
            self._point("at its end")

    def _listeners(self):
        return (("connect", self._at_connect), ("commit", self._at_commit))

    def _at_call(self, name: str, *, answered: bool) -> None:
        if not answered:
            self.steps["requests"] += 1
            self.till_writes += "/Customer" in name and not name.startswith("GET")
            self._point(f"before {name}")
            return
        self._is_news = self._is_news or not name.startswith("GET")
        self._point(f"after {name}")

    def _at_connect(self, _connection, _record) -> None:
        self._written = 0

    def _at_commit(self, connection: sa.Connection) -> None:
        written = connection.connection.driver_connection.total_changes
        if written != self._written:
            self._written = written
            self.steps["commits"] += 1
            self._point("before a commit")
            self._is_news = True  # For the point after it, which is the one before the next step.

    def _point(self, name: str) -> None:
        """Stop a copy here, if its run would not be the same as the last one's."""
        if not self._is_curtain_up or (not self._is_news and not self._everywhere):
            return
        self._is_news = False
        self.stops += 1
        where = f"{self._scenes[self._scene].name}, step {self.steps.total()}, {name}"
        home = self._world.home.with_name(f"stop-{self.stops}")
        shutil.copytree(self._world.home, home, ignore=shutil.ignore_patterns("*-shm"))
        scene = self._scene
        self._copies.start(home.name, lambda: self._resumed(where, scene, home))

    def _resumed(self, where: str, scene: int, home: Path) -> str:
        """Go on with nothing but the disk and the two simulators; return what is wrong in the end."""
        for event, listener in self._listeners():
            sa.event.remove(sa.Engine, event, listener)
        world = self._world
        world.watch = unwatched
        world.home = home
        play(world, self._scenes, scene, happened=True)
        wrong = verdict(world, self._calm)
        shutil.rmtree(home)
        return f"{where}: {wrong}" if wrong else ""


def verdict(world: ClosedWorld, calm: Calm) -> str:
    """Return how the end differs from the undisturbed one; nothing if it does not."""
    found = {
        "other contents": differing(calm.contents, world.contents()),
        "keys twice": world.repeated_keys(),
        "other states": {} if world.states() == calm.states else world.states(),
        "uncertified": world.certify().receipts + world.certify().differences,
    }
    before = world.stamps()
    world.sim_clock.advance(BETWEEN.total_seconds())
    world.sync()
    after = world.stamps()
    found["written again"] = [i for i in before.keys() | after.keys() if before.get(i) != after.get(i)]
    return "; ".join(f"{what}: {value}" for what, value in found.items() if value)


def undisturbed(world: ClosedWorld, scenes: Sequence[Scene]) -> Calm:
    """Play without any stop; return how it ends."""
    play(world, scenes)
    calm = Calm(world.contents(), world.states())
    if wrong := verdict(world, calm):
        sys.exit(f"Already the undisturbed run is not right: {wrong}")
    return calm


def main(folder: Path, name: str, *, everywhere: bool) -> None:
    plan, scenes = STORIES[name]
    home, rehearsal = folder / "home", folder / "rehearsal"
    home.mkdir()
    rehearsal.mkdir()
    # A twin, played in this very process: what it loads and works out, every copy finds ready.
    calm = undisturbed(ClosedWorld(rehearsal, plan=plan).install(), scenes)
    world = ClosedWorld(home, plan=plan).install()
    gc.freeze()
    gc.disable()  # Copies live for a second, and share this process's memory until something touches it.
    copies = Copies(folder, os.cpu_count() or 1)
    stops = Stops(world, scenes, copies, calm, everywhere=everywhere)
    stops.play()
    failures = copies.finish()
    steps = stops.steps.total()
    document = {
        **stops.steps,
        "till_writes": stops.till_writes,
        "points": 2 * steps,
        "stops": stops.stops,
        "failures": failures,
    }
    sys.stdout.write(json.dumps(document))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], everywhere="--all" in sys.argv)
