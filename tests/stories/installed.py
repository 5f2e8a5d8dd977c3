"""An installation with several connections, each a small world of its own."""

import io
import json
from contextlib import ExitStack

from world import NOW, JumpClock, World

from tillbridge.cli.app import run
from tillbridge.simulators.clock import SimClock


class Installation:
    """A folder with homes in connections/; `cli` runs a command on the whole folder."""

    def __init__(self, folder, *names):
        self.folder = folder
        self.stack = ExitStack()
        self.sim_clock = SimClock(NOW.timestamp(), running=False)
        self.clock = JumpClock(self.sim_clock)
        self.worlds = {name: self.found(name) for name in names}

    def found(self, name):
        home = self.folder / "connections" / name
        home.mkdir(parents=True)
        world = World(home, clock=self.sim_clock)
        self.stack.callback(world.close)
        return world.install()

    def cli(self, *argv, env=None):
        out, err = io.StringIO(), io.StringIO()
        words = [str(word) for word in (*argv, "--home", self.folder)]
        status = run(words, out=out, err=err, env=env or {}, clock=self.clock)
        return Said(status, out.getvalue(), err.getvalue())

    def close(self):
        self.stack.close()


class Said:
    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    @property
    def document(self):
        return json.loads(self.out)

    @property
    def said(self):
        return " ".join((self.out + " " + self.err).split())
