"""Files are searched without losing a lock of ours on them, and what they hold is found over any border."""

import sqlite3
import subprocess
import sys

import pytest

from tillbridge.store.on_disk import held_by_files
from tillbridge.store.sought import Sought

ANA = Sought(names=(("ana", "silva"),), emails=("ana@mail.example",))

_TRY = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('BEGIN EXCLUSIVE')"


def is_locked(path):
    """Say whether another process is kept out of a database."""
    tried = subprocess.run([sys.executable, "-c", _TRY, path], capture_output=True, text=True, check=False)
    return "database is locked" in tried.stderr


def test_a_search_leaves_the_locks_of_this_process_on_what_it_has_open(tmp_path):
    file = tmp_path / "state.sqlite"
    held = sqlite3.connect(file, isolation_level=None)
    held.execute("CREATE TABLE t (x)")
    held.execute("BEGIN IMMEDIATE")
    before = is_locked(file)

    held_by_files([file], ANA)

    assert (True, True) == (before, is_locked(file))
    held.close()


@pytest.mark.parametrize(
    ("held", "found"),
    [
        pytest.param(b"nobody", [], id="nothing of her"),
        pytest.param(b"\x00\xff Silva, Ana \x00", ["name"], id="between bytes that are no text"),
        pytest.param(b"x" * 3_999_995 + b"ana@mail.example", ["e-mail"], id="over the border of two pieces"),
    ],
)
def test_what_a_file_holds(tmp_path, held, found):
    (tmp_path / "log").write_bytes(held)

    assert {tmp_path / "log": found} == held_by_files([tmp_path / "log", tmp_path / "gone"], ANA)


def test_a_file_that_cannot_be_read_is_no_file_without_her(tmp_path):
    with pytest.raises(IsADirectoryError):
        held_by_files([tmp_path], ANA)
