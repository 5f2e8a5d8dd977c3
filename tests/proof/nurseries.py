"""Nurseries: processes that hold a prepared world and play scripts in copies of it."""

import json
import subprocess
import sys
from pathlib import Path

NURSERY = Path(__file__).with_name("nursery.py")


class Nursery:
    """A prepared world in a process of its own. Counts the scripts, and their runs that trouble ended."""

    def __init__(self, folder, state):
        self._process = subprocess.Popen(
            [sys.executable, str(NURSERY), str(folder), state],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.played = 0
        self.struck = self.broken_off = self.kills = 0
        assert "ready\n" == self._process.stdout.readline()

    def play(self, switches, script, rules=""):
        """Play a script in a copy; return what is wrong in the end."""
        task = {"switches": switches, "script": script, "rules": rules}
        self._process.stdin.write(json.dumps(task) + "\n")
        self._process.stdin.flush()
        told = json.loads(self._process.stdout.readline())
        self.played += 1
        self.struck += told["struck"]
        self.broken_off += len(told["broken_off"])
        self.kills += told["kills"]
        return told["wrong"]

    def close(self):
        self._process.stdin.close()
        self._process.wait(timeout=60)
        self._process.stdout.close()
