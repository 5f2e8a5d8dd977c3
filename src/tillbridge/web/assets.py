"""Style sheets, scripts, fonts, icons: shipped with us, held against their hashes, kept by browsers for ever.

Their address carries a hash over all of them, so that a new version is a new
address. `vendor/HASHES` says what of others is shipped, from which package and
version; a test compares.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastapi import Request
from markupsafe import Markup
from starlette.responses import Response

from tillbridge.web.errors import NotHere

ROOT = Path(__file__).parent / "static"

_KINDS = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".woff2": "font/woff2",
    ".svg": "image/svg+xml",
}
_SQUEEZED = frozenset({".css", ".js", ".svg"})


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it is sent."""

    kind: str
    plain: bytes
    squeezed: bytes | None
    integrity: str


@cache
def assets() -> dict[str, Asset]:
    """Read all files, once."""
    found = {}
    for path in sorted(ROOT.rglob("*")):
        if path.suffix in _KINDS and "icons" not in path.parts:
            content = path.read_bytes()
            found[path.relative_to(ROOT).as_posix()] = Asset(
                kind=_KINDS[path.suffix],
                plain=content,
                squeezed=gzip.compress(content, mtime=0) if path.suffix in _SQUEEZED else None,
                integrity=integrity(content),
            )
    return found


def integrity(content: bytes) -> str:
    """Return what a browser compares a file with (https://www.w3.org/TR/SRI)."""
    return f"sha384-{base64.b64encode(hashlib.sha384(content).digest()).decode()}"


@cache
def edition() -> str:
    """Return one short hash over all files."""
    return hashlib.sha256("".join(each.integrity for each in assets().values()).encode()).hexdigest()[:16]


def address(name: str) -> str:
    """Return where a file is fetched from."""
    assert name in assets(), name
    return f"/assets/{edition()}/{name}"


def show(request: Request, name: str) -> Response:
    """Send a file. One of another edition is sent as well, but not to be kept."""
    asset = assets().get(name)
    if asset is None:
        raise NotHere
    is_current = request.path_params["edition"] == edition()
    headers = {
        "cache-control": "public, max-age=31536000, immutable" if is_current else "no-store",
        "vary": "accept-encoding",
    }
    if asset.squeezed is not None and "gzip" in request.headers.get("accept-encoding", ""):
        return Response(
            asset.squeezed, headers={**headers, "content-encoding": "gzip"}, media_type=asset.kind
        )
    return Response(asset.plain, headers=headers, media_type=asset.kind)


@cache
def icon(name: str) -> Markup:
    """Return an icon as part of the page: a picture beside words, which a screen reader passes over."""
    source = (ROOT / "icons" / f"{name}.svg").read_text(encoding="utf-8")
    inner = re.sub(r"\s+", " ", source.partition("<svg")[2].partition(">")[2].partition("</svg>")[0]).strip()
    return Markup(  # noqa: S704  A file of ours, held against its hash.
        '<svg class="icon" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" '
        f'stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" focusable="false">{inner}</svg>'
    )
