"""What can be wrong at a customer's, one thing after the other: how does the command line end?

Each must end with one sentence that says what to do, its exit status and no trace; and when all is put
right again, the load goes through and both sides agree.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.scene import install, tell
from tillbridge.cli.app import run
from tillbridge.rehearsal import Rehearsal, World, rehearse
from tillbridge.wiring import open_home

_USER = "integration@demo.example"
_NOBODY_LISTENS = "http://127.0.0.1:9"
_SENTENCE_CHARS_MAX = 420

Breakage = Callable[[Rehearsal], Any]


def _toml(rehearsal: Rehearsal) -> Path:
    return rehearsal.home / "tillbridge.toml"


def _put(old: str, new: str) -> Breakage:
    """Change a word of the configuration, which is set back afterwards."""

    def change(rehearsal: Rehearsal) -> None:
        text = _toml(rehearsal).read_text(encoding="utf-8")
        assert old in text, old
        _toml(rehearsal).write_text(text.replace(old, new), encoding="utf-8")

    return change


def _add(lines: str) -> Breakage:
    def change(rehearsal: Rehearsal) -> None:
        with _toml(rehearsal).open("a", encoding="utf-8") as file:
            file.write(lines)

    return change


def _unreachable(rehearsal: Rehearsal) -> None:
    _put(f'login_url = "{rehearsal.crm.url}"', f'login_url = "{_NOBODY_LISTENS}"')(rehearsal)


def _org(path: str, wish: dict[str, Any]) -> Breakage:
    return lambda rehearsal: rehearsal.crm.control("POST", path, wish)


def _field(*, shown: bool) -> Breakage:
    name = "Sales_Transaction__c.Register__c"
    return _org("fls", {"user": _USER, "field": name, "readable": shown, "editable": shown})


def _nothing(_: Rehearsal) -> None:
    """Put nothing right: the configuration is set back anyway."""


# What is wrong: how it comes about, how it is put right, and the exit status asked for.
MISTAKES: dict[str, tuple[Breakage, Breakage, int]] = {
    "wrong Lightspeed credentials": (_put('"demo-refresh"', '"nonsense"'), _nothing, 2),
    "wrong Salesforce credentials": (_put('"demo-consumer"', '"nonsense"'), _nothing, 2),
    "unreachable host": (_unreachable, _nothing, 75),
    "missing field in the org": (_field(shown=False), _field(shown=True), 2),
    "missing permission": (
        _org("user", {"username": _USER, "without_permission_sets": ["Tillbridge_Integration"]}),
        _org("user", {"username": _USER, "permission_sets": ["Tillbridge_Integration"]}),
        2,
    ),
    "unknown mapping function": (_add('\n[map.sale]\nRegister__c = "register | shout"\n'), _nothing, 2),
    "malformed TOML": (_add("\n[lightspeed\n"), _nothing, 2),
    "API disabled": (
        _org("switches", {"api_disabled": True}),
        _org("switches", {"api_disabled": False}),
        2,
    ),
    "daily limit reached": (
        _org("limit", {"used_by_others": 1_000_000}),
        _org("limit", {"used_by_others": 0}),
        75,
    ),
}


def measure(*, sales: int, customers: int) -> dict[str, Any]:
    """Make every mistake before a first load, then put all right and load."""
    with _shop(World(customers=customers, sales=sales)) as rehearsal:
        ends = {}
        for name, (break_it, mend_it, asked) in MISTAKES.items():
            right = _toml(rehearsal).read_text(encoding="utf-8")
            break_it(rehearsal)
            status, said = _command(rehearsal, "backfill")
            mend_it(rehearsal)
            _toml(rehearsal).write_text(right, encoding="utf-8")
            lines = said.splitlines()
            ends[name] = {"asked": asked, "status": status, "sentences": len(lines), "calm": _is_calm(lines)}
            tell(f"{name}: exit status {status}, {lines[0] if lines else 'not a word'}")
        loaded, _ = _command(rehearsal, "backfill")
        certified, _ = _command(rehearsal, "certify")
        return {"ends": ends, "loaded": loaded, "certified": certified}


@contextmanager
def _shop(world: World) -> Iterator[Rehearsal]:
    with tempfile.TemporaryDirectory(prefix="tillbridge-bench-") as folder:
        home = Path(folder)
        with rehearse(home, world) as rehearsal:
            install(open_home(home, clock=rehearsal.clock), rehearsal)
            yield rehearsal


def _command(rehearsal: Rehearsal, name: str) -> tuple[int, str]:
    """Run a command line; return its exit status and what it said on stderr."""
    out, err = io.StringIO(), io.StringIO()
    status = run([name, "--home", str(rehearsal.home)], out=out, err=err, env={}, clock=rehearsal.clock)
    return status, err.getvalue().strip().replace(str(rehearsal.home), "HOME")


def _is_calm(lines: list[str]) -> bool:
    """Say whether it was a clear sentence for each thing that is wrong, and no trace."""
    return len(lines) > 0 and all(
        len(line) < _SENTENCE_CHARS_MAX and "Traceback" not in line for line in lines
    )
