"""From errors to words and exit statuses: one sentence that says what happened and what to do.

Facts come from the errors; the advice is here. The statuses are part of the
product, scripts rely on them.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tillbridge.model.errors import (
    BadRequest,
    Busy,
    ConfigurationInvalid,
    CredentialsRefused,
    LimitReached,
    PermissionMissing,
    SyncError,
    Transient,
)

DONE = 0
NEEDS_PERSON = 1  # done, but problems, conflicts or differences are open
WRONG = 2  # usage, configuration, credentials, rights: nothing works until a person changes something
BROKEN = 70  # a bug of ours
TRY_LATER = 75  # out of budget, remote down, another run holds the lock
INTERRUPTED = 130

NOTHING_LOST = "Nothing was lost: run the same command again"

# What an operating system says when a directory cannot be written, and what to do about it.
_OS_ADVICE = {
    errno.ENOSPC: "the disk is full; make room and run the same command again",
    errno.EDQUOT: "the disk quota is used up; make room and run the same command again",
    errno.EFBIG: "a limit on the size of files is reached; raise it and run the same command again",
    errno.EACCES: "this user may not; change the owner or the rights, or name another --home",
    errno.EPERM: "this user may not; change the owner or the rights, or name another --home",
    errno.EROFS: "the file system is read-only; name another --home",
    errno.ENOTDIR: "a file is in the way; name another --home",
    errno.EISDIR: "a directory is in the way",
}
_OS_LATER = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True, slots=True)
class Told:
    """What to print and with which status to leave."""

    status: int
    lines: tuple[str, ...]


def tell(error: SyncError | OSError) -> Told:
    """Word an error."""
    match error:
        case ConfigurationInvalid(mistakes=mistakes):
            return Told(
                WRONG, tuple(f"{path}: {text}" if path else text for path, text in _together(mistakes))
            )
        case LimitReached(resume_after_seconds=seconds):
            return Told(TRY_LATER, (f"{sentence(str(error))} {NOTHING_LOST} {_when(seconds)}.",))
        case Transient(retry_after_seconds=seconds):
            return Told(
                TRY_LATER, (f"{sentence(str(error))}{_where(str(error))} {NOTHING_LOST} {_when(seconds)}.",)
            )
        case CredentialsRefused() | PermissionMissing():
            return Told(WRONG, (f"{sentence(str(error))} Then `tillbridge doctor` tells whether it helped.",))
        case BadRequest(code=code):
            known = code in str(error) or code.startswith("HTTP")
            text = str(error) if known else f"{error} ({code})"
            return Told(WRONG, (f"{sentence(text)} `tillbridge doctor` looks at what may be missing.",))
        case Busy():
            return Told(TRY_LATER, (sentence(str(error)),))
        case OSError():
            return _os(error)
    return Told(WRONG, (sentence(str(error)),))


# An org without our package misses hundreds of fields in the same words.
_FIELD = re.compile(
    r"^(?P<object>\w+) has no field (?P<field>\w+) that the user may see; (?P<advice>.+)$"
    r"|^the user may not write (?P<held>\w+)\.(?P<closed>\w+); (?P<cure>.+)$"
)
_ALONE_MAX = 3


def _together(mistakes: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Put the missing fields of one object on one line, all of them named, where they are many."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for path, text in mistakes:
        if found := _FIELD.match(text):
            alike.setdefault(_kind(path, found), []).append(found["field"] or found["closed"])
    told: dict[tuple[str, str], None] = {}
    for path, text in mistakes:
        found = _FIELD.match(text)
        fields = alike[_kind(path, found)] if found else []
        if found is None or len(fields) <= _ALONE_MAX:
            told[path, text] = None
        elif found["object"]:
            missing = f"{found['object']} has no such fields that the user may see: {', '.join(fields)}"
            told[path.rpartition(".")[0], f"{missing}; {found['advice']}"] = None
        else:
            closed = f"the user may not write these fields of {found['held']}: {', '.join(fields)}"
            told[path.rpartition(".")[0], f"{closed}; {found['cure']}"] = None
    return list(told)


def _kind(path: str, found: re.Match[str]) -> tuple[str, ...]:
    return path.rpartition(".")[0], found["object"] or "", found["held"] or ""


def _os(error: OSError) -> Told:
    number = error.errno or 0
    advice = _OS_ADVICE.get(number, (error.strerror or str(error)).lower())
    where = f"{error.filename}: " if error.filename else ""
    return Told(TRY_LATER if number in _OS_LATER else WRONG, (sentence(f"{where}{advice}"),))


def _where(text: str) -> str:
    """Say which setting leads there, when nobody answered at all."""
    if "could not be reached" not in text:
        return ""
    return (
        " Check the network, and that api_url, auth_url and login_url in tillbridge.toml are right"
        " (their defaults are the vendors' own)."
    )


def _when(seconds: float | None) -> str:
    if seconds is None or seconds <= 0:
        return "later"
    if seconds < 90:
        return f"in {max(1, round(seconds))} seconds"
    if seconds < 5_400:
        return f"in {round(seconds / 60)} minutes"
    return f"in {round(seconds / 3600)} hours"


def sentence(text: str) -> str:
    """End a text with one full stop."""
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."


def plain(text: object) -> str:
    """Take out of a remote's words whatever a terminal might obey, and line breaks."""
    return "".join(c if c.isprintable() else " " for c in str(text))


def number(count: float) -> str:
    """Write a count with its thousands apart."""
    return f"{count:,.0f}"


def several(count: int, one: str, many: str | None = None) -> str:
    """Write a count with its noun."""
    return f"{number(count)} {one if count == 1 else many or one + 's'}"


# What a run counts, as people read it; the order is the order of print.
_COUNTED = {
    "created": "created",
    "updated": "updated",
    "unchanged": "unchanged",
    "refused": "refused",
    "held": "held back behind a refused record",
    "lookups filled": "lookups filled in later",
}


def counted(counts: Mapping[str, int]) -> str:
    """Put a run's row counts into one line."""
    told = [f"{number(counts[name])} {words}" for name, words in _COUNTED.items() if counts.get(name)]
    return ", ".join(told) or "nothing to do"


def people(counts: Mapping[str, int]) -> str:
    """Put what became of people into one line; "" when there were none."""
    links = {name.removeprefix("linked by "): n for name, n in counts.items() if name.startswith("linked by")}
    told = []
    if links:
        rules = ", ".join(f"{name.replace('_', ' ')} {number(n)}" for name, n in links.items())
        told.append(f"{number(sum(links.values()))} found in Salesforce and linked ({rules})")
    if counts.get("people created"):
        told.append(f"{number(counts['people created'])} created")
    if counts.get("review"):
        told.append(f"{number(counts['review'])} left for a person to decide")
    return ", ".join(told)


def joined(items: Iterable[str], limit: int) -> str:
    """Join items by commas, so many at most, and say how many more there are."""
    found = list(items)
    shown = ", ".join(found[:limit])
    return shown if len(found) <= limit else f"{shown} and {number(len(found) - limit)} more"
