"""Split a `multipart/form-data` or `multipart/mixed` body into its parts.

Bytes stay bytes: a zip may hold anything, also something that looks like a line
end, so only the boundary decides where a part stops (RFC 2046 section 5.1.1).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Part:
    """One part; `headers` has lower-case names, `name` and `filename` come from Content-Disposition."""

    name: str
    body: bytes
    filename: str = ""
    headers: dict[str, str] = field(default_factory=dict)


class MultipartError(ValueError):
    """The body is not what its Content-Type says."""


def is_multipart(content_type: str) -> bool:
    """Say whether a Content-Type names a multipart body."""
    return content_type.strip().lower().startswith("multipart/")


def parse(content_type: str, body: bytes) -> dict[str, Part]:
    """Return the parts by name. Raises MultipartError."""
    found = re.search(r'boundary\s*=\s*(?:"([^"]+)"|([^\s;]+))', content_type, re.IGNORECASE)
    if not is_multipart(content_type) or found is None:
        raise MultipartError("Multipart message has no boundary.")
    boundary = (found[1] or found[2]).encode("latin-1")
    # The line end before a boundary belongs to the boundary; blanks may follow it.
    cut = re.compile(rb"(?:^|\r?\n)--" + re.escape(boundary) + rb"(--)?[ \t]*(?:\r?\n|$)")
    marks = list(cut.finditer(body))
    if len(marks) < 2 or marks[-1][1] is None:
        raise MultipartError("Multipart message is not complete.")
    parts: dict[str, Part] = {}
    start = marks[0].end()
    for mark in marks[1:]:
        part = _part(body[start : mark.start()])
        parts[part.name] = part
        if mark[1]:
            break
        start = mark.end()
    return parts


def _part(raw: bytes) -> Part:
    head, body = _split_head(raw)
    headers = {}
    unfolded = re.sub(r"\r?\n[ \t]+", " ", head.decode("utf-8", "replace"))
    for line in unfolded.splitlines():
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    disposition = headers.get("content-disposition", "")
    return Part(_attribute(disposition, "name"), body, _attribute(disposition, "filename"), headers)


def _split_head(raw: bytes) -> tuple[bytes, bytes]:
    if found := re.match(rb"\r?\n", raw):  # No headers at all.
        return b"", raw[found.end() :]
    pieces = re.split(rb"\r?\n\r?\n", raw, maxsplit=1)
    if len(pieces) != 2:
        raise MultipartError("A part has no empty line after its headers.")
    return pieces[0], pieces[1]


def _attribute(disposition: str, name: str) -> str:
    found = re.search(rf';\s*{name}\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;]+))', disposition, re.IGNORECASE)
    if found is None:
        return ""
    return re.sub(r"\\(.)", r"\1", found[1]) if found[1] is not None else found[2]
