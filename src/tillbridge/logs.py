"""The log: one JSON line a fact, with ids and counts, never a name, an address, a token or a body.

Lines go to a file in the home directory, or to stderr with TILLBRIDGE_LOG=stderr.
What slips in all the same is blotted out on its way.
"""

from __future__ import annotations

import logging
import logging.handlers
import re
import sys
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

import structlog

FILE_NAME = "tillbridge.log"

# Two files of this size hold some months of an ordinary shop's runs.
FILE_BYTES_MAX = 5_000_000

_NAME = "tillbridge"
_BLOT = "…"

# Values under these names are never written, whatever they hold.
_SECRET_NAMES = re.compile(
    r"name|mail|phone|street|address|city|zip|birth|token|secret|password|key|authorization|body|payload|note",
    re.IGNORECASE,
)

# And these, under whatever name: addresses, bearer tokens and JWTs, telephone numbers.
_SECRET_TEXTS = (
    re.compile(r"[^\s@:'\"]+@[^\s@'\"]+"),
    re.compile(r"\beyJ[\w-]+\.[\w-]+\.?[\w-]*"),
    re.compile(r"(?i)\bbearer\s+\S+"),
    re.compile(r"\b00D\w{9,15}!\S+"),  # Salesforce's session ids
    # Long random letters: at least one digit and one letter, and longer than any id that we show.
    re.compile(
        r"(?<![\w/+=-])(?=[\w/+-]*\d)(?=[\w/+-]*[A-Za-z])(?:[A-Za-z0-9+/]{32,}|[\w-]{44,})={0,2}", re.ASCII
    ),
    re.compile(r"(?<![\w-])\+\d[\d\s().-]{6,}\d"),
)


def configure(home: Path | None, env: Mapping[str, str]) -> None:
    """Send the log where it belongs. A home that cannot be written gets no log, and nobody stops for that."""
    root = logging.getLogger(_NAME)
    for handler in list(root.handlers):
        root.removeHandler(handler)
        handler.close()
    root.addHandler(_handler(home, env))
    root.setLevel(logging.INFO)
    root.propagate = False
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,  # the connection, job and run that a line is about
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            redact,
            structlog.processors.JSONRenderer(sort_keys=False),
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def _handler(home: Path | None, env: Mapping[str, str]) -> logging.Handler:
    if env.get("TILLBRIDGE_LOG") == "stderr":
        return logging.StreamHandler(sys.stderr)
    if home is None or not home.is_dir():
        return logging.NullHandler()
    try:
        return _OwnFile(home / FILE_NAME, maxBytes=FILE_BYTES_MAX, backupCount=1, encoding="utf-8")
    except OSError:
        # A full or read-only disk: the command itself meets it too, and says so in a sentence.
        return logging.NullHandler()


class _OwnFile(logging.handlers.RotatingFileHandler):
    """A log file for this user's eyes. A disk that fills up while we log stops nothing but the log."""

    def _open(self) -> Any:
        stream = super()._open()
        Path(self.baseFilename).chmod(0o600)
        return stream

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  logging's own name.
        """Let the line go: printing a trace to stderr, as logging would, helps nobody here."""


def logger() -> Any:
    """Return the log."""
    return structlog.get_logger(_NAME)


def adopt(name: str) -> None:
    """Take over what a library would print: one redacted line for each, and no trace."""
    adopted = logging.getLogger(name)
    adopted.handlers = [_Adopted()]
    adopted.propagate = False


class _Adopted(logging.Handler):
    """Writes a library's records as facts of ours. Of an error its kind: what it says may hold anything."""

    def emit(self, record: logging.LogRecord) -> None:
        said, _, _ = record.getMessage().partition("\n")
        failed = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else None
        logger().error("library in trouble", library=record.name, said=said, error=failed)


def redact(_logger: Any, _method: str, facts: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Blot out what must not be written."""
    return {name: _clean(name, value) for name, value in facts.items()}


def _clean(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(inner): _clean(str(inner), each) for inner, each in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(name, each) for each in value]
    if isinstance(value, str):
        return _BLOT if _SECRET_NAMES.search(name) else blotted(value)
    return value if value is None or isinstance(value, bool | int | float) else _BLOT


# What follows such a name is blotted, and the name stays: it says what there was.
_NAMED_SECRETS = re.compile(
    r"""(?ix) (?<!\w)
    ( (?:(?:access|refresh|id|session|auth|bearer|csrf|api)[_-]?)? token
    | (?:client[_-]?)? secret | api[_-]?key | passw(?:or)?d | passwd | pwd
    | session[_-]?id | sid | signature | assertion | authorization )
    (["']? \s* [:=] \s* ["']?) (?!\s) [^\s"'&,;]+"""
)


def blotted(text: str) -> str:
    """Blot out addresses, passwords, tokens and telephone numbers in a text."""
    text = _NAMED_SECRETS.sub(rf"\1\2{_BLOT}", text)
    for pattern in _SECRET_TEXTS:
        text = pattern.sub(_BLOT, text)
    return text
