"""Where somebody may be sent to: inside the console only."""

from __future__ import annotations

import re

# One slash, no second one and no backslash behind it (browsers read `/\\` as `//`), nothing unprintable.
_INSIDE = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]*")


def inside(path: str | None) -> str:
    """Return a path of the console that somebody asked to be brought back to; `/` when it is none."""
    return path if path and len(path) <= 1_000 and _INSIDE.fullmatch(path) else "/"
