"""Change settings in tillbridge.toml: the lines that say otherwise, and no other.

Comments, order and spacing are a person's own and stay. A line that is replaced
keeps the comment behind it. Whatever comes out is read again and must say what
was wished and nothing else; a file that is written too freely for that is left
as it is, and whoever asked is told to change it by hand.

A new text is checked whole, as `config.load` would, before it takes the old
one's place in one step. Whoever reads the file finds the old one or the new one.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import tempfile
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from datetime import date, time
from pathlib import Path
from typing import Any

from tillbridge import config as configuration
from tillbridge.config import FILE_NAME
from tillbridge.model.errors import ConfigurationInvalid, Halted
from tillbridge.secrets import sync_folder

# A setting by its path, such as ("schedule", "sales_seconds"), and what it is to be; None: its default.
Changes = Mapping[tuple[str, ...], Any]

# What reads a text that is to be a home's file, and raises ConfigurationInvalid with what is wrong with it.
Check = Callable[[str, Path, Mapping[str, str]], object]

_LOCK = "settings.lock"
_PART = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
_KEY = re.compile(rf"\s*({_PART}(?:\s*\.\s*{_PART})*)\s*=")
_HEADER = re.compile(rf"\s*\[\s*({_PART}(?:\s*\.\s*{_PART})*)\s*\]\s*(?:#.*)?")
_BARE = re.compile(r"[A-Za-z0-9_-]+")

# Longer lists get a line for each of their values.
_LINE_MAX = 100


class ChangedMeanwhile(Halted):
    """Somebody else has changed the file since it was looked at."""


@dataclass(frozen=True, slots=True)
class Written:
    """What was changed, as paths with their values in the file before and after."""

    changed: Mapping[str, tuple[Any, Any]]


def read(home: Path) -> tuple[dict[str, Any], str]:
    """Return what a home's file says, as it stands there, and by which mark it is known again."""
    text = _text(home)
    return parsed(text), mark(text)


def mark(text: str) -> str:
    """Return a short name of a text: another text has another."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def write(
    home: Path,
    changes: Changes,
    env: Mapping[str, str],
    *,
    seen: str = "",
    check: Check = configuration.parse,
) -> Written:
    """Change settings and say what has changed. `seen`: the mark of the file that they were decided by.

    Raises ConfigurationInvalid with every mistake, ChangedMeanwhile, or Halted when the file cannot be
    written; it is as it was then.
    """

    def changing(text: str) -> str:
        after = changed(text, changes)
        check(after, home, env)
        return after

    before, told = _rewrite(home, changing, seen)
    moved = {
        ".".join(each): (found(before, each), found(told, each))
        for each in changes
        if found(before, each) != found(told, each)
    }
    return Written(moved)


def remove(home: Path, paths: Collection[tuple[str, ...]], *, seen: str = "") -> None:
    """Take tables out of a file, with all below them. Raises ChangedMeanwhile, Halted."""
    _rewrite(home, lambda text: without(text, paths), seen)


def _rewrite(
    home: Path, change: Callable[[str], str], seen: str
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Let one at a time make another text of a file; return what both say."""
    with _alone(home):
        text = _text(home)
        if seen and mark(text) != seen:
            raise ChangedMeanwhile(
                "Somebody else has changed the settings since you opened them. Look at them again."
            )
        after = change(text)
        if after != text:
            _replace(home / FILE_NAME, after)
    return parsed(text), parsed(after)


def found(document: Mapping[str, Any], path: Sequence[str]) -> Any:
    """Return what stands at a path, or None."""
    at: Any = document
    for name in path:
        if not isinstance(at, Mapping) or name not in at:
            return None
        at = at[name]
    return at


# --- the file ------------------------------------------------------------------------------------


def _text(home: Path) -> str:
    path = home / FILE_NAME
    try:
        # As it is written: line ends are a person's own too.
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationInvalid([(str(path), f"cannot be read: {error}")]) from error


def parsed(text: str) -> dict[str, Any]:
    """Return what a text says. Raises ConfigurationInvalid when it is no TOML."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationInvalid([(FILE_NAME, f"is not valid TOML: {error}")]) from error


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Let one change at a time look and write."""
    try:
        handle = os.open(home / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unwritable(home, error) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _replace(path: Path, text: str) -> None:
    """Put a text in the file's place in one step, with the same rights; it is on the disk afterwards."""
    real = path.resolve()  # A link stays a link.
    try:
        rights = real.stat().st_mode & 0o777
        handle, name = tempfile.mkstemp(dir=real.parent, prefix=f".{real.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(text.encode())
                file.flush()
                os.fchmod(file.fileno(), rights)
                os.fsync(file.fileno())
            Path(name).replace(real)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        sync_folder(real.parent)
    except OSError as error:
        raise _unwritable(real.parent, error) from error


def _unwritable(folder: Path, error: OSError) -> Halted:
    return Halted(
        f"The settings cannot be written in {folder} ({error.strerror}): let the user that Tillbridge runs "
        f"as write there, or change {FILE_NAME} by hand."
    )


# --- the text ------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Statement:
    """One `key = value`, on lines `start` to `end` of the text, the last one excluded."""

    path: tuple[str, ...]
    table: tuple[str, ...]
    start: int
    end: int
    value: Any


def changed(text: str, changes: Changes) -> str:
    """Return a text that says otherwise in these places. Raises Halted for one that we cannot change."""
    wished = deepcopy(parsed(text))
    for path, value in changes.items():
        if found(wished, path) == value:
            continue
        if isinstance(value, Mapping) and not _is_reference(value):
            text = _with_table(text, wished, path, value)
        else:
            text = _with(text, path, value)
        _put(wished, path, value)
    if _without_empty(_parsed_or_none(text)) != _without_empty(wished):
        raise _too_free()
    return text


def without(text: str, paths: Collection[tuple[str, ...]]) -> str:
    """Return a text that says nothing of these tables. Raises Halted for one that we cannot change."""
    lines = text.splitlines(keepends=True)
    statements, headers = _statements(lines)
    gone = {n for each in statements if _is_below(each.path, paths) for n in range(each.start, each.end)}
    gone |= {start for table, start, _ in headers if _is_below(table, paths)}
    after = "".join(line for n, line in enumerate(lines) if n not in gone)
    wished = parsed(text)
    for path in paths:
        _put(wished, path, None)
    if _without_empty(_parsed_or_none(after)) != _without_empty(wished):
        raise _too_free()
    return after


def _is_below(path: tuple[str, ...], tables: Collection[tuple[str, ...]]) -> bool:
    return any(path[: len(each)] == each for each in tables)


def _too_free() -> Halted:
    return Halted(f"{FILE_NAME} is written in a way that cannot be changed here; change it by hand.")


def _parsed_or_none(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def _is_reference(value: Mapping[str, Any]) -> bool:
    return set(value) in ({"env"}, {"secret"})


def _put(document: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    at: Any = document
    for name in path[:-1]:
        at = at.setdefault(name, {}) if isinstance(at, dict) else None
    if not isinstance(at, dict):
        raise _too_free()
    if value is None:
        at.pop(path[-1], None)
    else:
        at[path[-1]] = deepcopy(value)


def _without_empty(value: Any) -> Any:
    """Leave tables out that say nothing: a header that was left behind is no setting."""
    if not isinstance(value, dict):
        return value
    kept = {name: _without_empty(each) for name, each in value.items()}
    return {name: each for name, each in kept.items() if each != {}}


def _with_table(text: str, now: Mapping[str, Any], path: tuple[str, ...], value: Mapping[str, Any]) -> str:
    """Change a table name by name, so that its other lines stay as they are written."""
    before = found(now, path)
    before = before if isinstance(before, Mapping) else {}
    for name in before:
        if name not in value:
            text = _with(text, (*path, name), None)
    for name, each in value.items():
        if before.get(name) != each:
            text = _with(text, (*path, name), each)
    return text


def _with(text: str, path: tuple[str, ...], value: Any) -> str:
    lines = text.splitlines(keepends=True)
    ending = "\r\n" if lines and lines[0].endswith("\r\n") else "\n"
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += ending
    statements, headers = _statements(lines)
    for each in statements:
        if each.path == path:
            return "".join(_rewritten(lines, each, value, ending))
        if path[: len(each.path)] == each.path and isinstance(each.value, dict):
            inner = deepcopy(each.value)
            _put(inner, path[len(each.path) :], value)
            return "".join(_rewritten(lines, each, inner or None, ending))
    if value is None:
        return text
    return "".join(_added(lines, statements, headers, path, value, ending))


def _rewritten(lines: list[str], at: _Statement, value: Any, ending: str) -> list[str]:
    if value is None:
        return lines[: at.start] + lines[at.end :]
    first = lines[at.start]
    match = _KEY.match(first)
    assert match is not None
    head = first[: match.end()]
    behind = first[match.end() :]
    comment = _comment(lines[at.start : at.end])
    indent = " " if behind[:1] in {" ", "\t"} or not behind.strip() else ""
    return [
        *lines[: at.start],
        f"{head}{indent}{_written(value, ending)}{comment}{ending}",
        *lines[at.end :],
    ]


def _comment(lines: list[str]) -> str:
    """Return the comment behind a statement of one line, with the space before it."""
    line = lines[-1].rstrip("\r\n")
    if len(lines) > 1:
        return ""
    for n, letter in enumerate(line):
        if letter == "#" and _parsed_or_none(line[:n]):
            return line[len(line[:n].rstrip()) :]
    return ""


def _added(
    lines: list[str],
    statements: list[_Statement],
    headers: list[tuple[tuple[str, ...], int, int]],
    path: tuple[str, ...],
    value: Any,
    ending: str,
) -> list[str]:
    parent, name = path[:-1], path[-1]
    said = _written(value, ending)
    # Where the table is written with dotted keys, it goes on so: a header for it would define it twice.
    for each in reversed(statements):
        if each.path[: len(parent)] == parent and len(each.table) < len(parent):
            dotted = ".".join(_named(part) for part in path[len(each.table) :])
            return [*lines[: each.end], f"{dotted} = {said}{ending}", *lines[each.end :]]
    if not parent:
        at = headers[0][1] if headers else len(lines)
        return [*lines[:at], f"{_named(name)} = {said}{ending}", *lines[at:]]
    for table, start, _ in headers:
        if table == parent:
            mine = [each.end for each in statements if each.table == parent and each.start > start]
            at = max(mine, default=start + 1)
            return [*lines[:at], f"{_named(name)} = {said}{ending}", *lines[at:]]
    gap = [ending] if lines and lines[-1].strip() else []
    head = f"[{'.'.join(_named(part) for part in parent)}]{ending}"
    return [*lines, *gap, head, f"{_named(name)} = {said}{ending}"]


def _statements(lines: list[str]) -> tuple[list[_Statement], list[tuple[tuple[str, ...], int, int]]]:
    """Return the statements of a text and its headers: each table with its line and where it ends."""
    statements: list[_Statement] = []
    headers: list[tuple[tuple[str, ...], int, int]] = []
    table: tuple[str, ...] = ()
    at = 0
    while at < len(lines):
        line = lines[at]
        if header := _HEADER.fullmatch(line.rstrip("\r\n")):
            table = _parts(header[1])
            headers.append((table, at, at + 1))
            at += 1
            continue
        key = _KEY.match(line)
        if key is None or line.lstrip().startswith("#"):
            at += 1
            continue
        end = _end(lines, at)
        inner = parsed("".join(lines[at:end]))
        parts = _parts(key[1])
        statements.append(_Statement((*table, *parts), table, at, end, found(inner, parts)))
        at = end
    return statements, headers


def _end(lines: list[str], start: int) -> int:
    """Return the line behind a statement: the first one where it can be read."""
    for end in range(start + 1, len(lines) + 1):
        if _parsed_or_none("".join(lines[start:end])) is not None:
            return end
    raise _too_free()


def _parts(dotted: str) -> tuple[str, ...]:
    """Read a dotted key as TOML does."""
    at: Any = tomllib.loads(f"{dotted} = 0")
    parts = []
    while isinstance(at, dict):
        name = next(iter(at))
        parts.append(name)
        at = at[name]
    return tuple(parts)


# --- values --------------------------------------------------------------------------------------


def _named(name: str) -> str:
    return name if _BARE.fullmatch(name) else _text_of(name)


def _text_of(text: str) -> str:
    # JSON's escapes are TOML's, but for one control character that JSON leaves alone.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


_WRITERS: tuple[tuple[type | tuple[type, ...], Callable[[Any], str]], ...] = (
    (bool, lambda value: "true" if value else "false"),
    (int, str),
    (float, lambda value: str(int(value)) if value == int(value) else repr(value)),
    ((date, time), lambda value: value.isoformat()),
    (str, _text_of),
)


def _written(value: Any, ending: str) -> str:
    if isinstance(value, Mapping):
        inside = ", ".join(f"{_named(name)} = {_written(each, ending)}" for name, each in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, (list, tuple)):
        items = [_written(each, ending) for each in value]
        if len(line := f"[{', '.join(items)}]") <= _LINE_MAX:
            return line
        return f"[{ending}" + "".join(f"  {item},{ending}" for item in items) + "]"
    for kind, writes in _WRITERS:
        if isinstance(value, kind):
            return writes(value)
    raise TypeError(f"{type(value).__name__} is no value of TOML")
