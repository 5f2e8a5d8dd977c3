"""What a row seals for its own place: a JSON document, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from tillbridge.secrets import Vault


def seal_document(vault: Vault, value: Mapping[str, Any], place: str) -> bytes:
    """Seal a document for a place."""
    return vault.seal(msgspec.json.encode(value), place)


def open_document(vault: Vault, blob: bytes, place: str) -> dict[str, Any]:
    """Open a document that was sealed for a place."""
    document: dict[str, Any] = msgspec.json.decode(vault.open(blob, place))
    return document
