"""Stopped before and after every I/O step and started again, a story ends as if nothing had happened."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

STOPS = Path(__file__).with_name("stops.py")


@pytest.mark.parametrize(
    ("story", "points", "stops", "till_writes"), [("shop", 300, 100, 0), ("people", 150, 60, 4)]
)
def test_a_stop_at_any_step_changes_nothing_in_the_end(tmp_path, story, points, stops, till_writes):
    ended = subprocess.run(
        [sys.executable, str(STOPS), str(tmp_path), story],
        capture_output=True,
        text=True,
        check=False,
        timeout=1_200,
    )
    assert 0 == ended.returncode, ended.stderr
    told = json.loads(ended.stdout)
    print(
        f"{story}: {told['points']} points: before and after {told['requests']} requests and "
        f"{told['commits']} commits, {told['till_writes']} of them writes to the till; "
        f"{told['stops']} different states to resume from, {len(told['failures'])} failures"
    )
    assert [] == told["failures"]
    assert told["points"] >= points, told
    assert told["stops"] >= stops, told
    assert told["till_writes"] >= till_writes, told
