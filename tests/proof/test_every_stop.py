"""Stopped before and after every I/O step and started again, a story ends as if nothing had happened."""

import json
import subprocess
import sys
from pathlib import Path

STOPS = Path(__file__).with_name("stops.py")


def test_a_stop_at_any_step_changes_nothing_in_the_end(tmp_path):
    ended = subprocess.run(
        [sys.executable, str(STOPS), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=1_200,
    )
    assert 0 == ended.returncode, ended.stderr
    told = json.loads(ended.stdout)
    print(
        f"{told['points']} points: before and after {told['requests']} requests and {told['commits']} commits"
        f"; {told['stops']} different states to resume from, {len(told['failures'])} failures"
    )
    assert [] == told["failures"]
    assert told["points"] >= 300, told
    assert told["stops"] >= 100, told
