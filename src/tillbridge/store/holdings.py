"""Everything that one home directory holds of people: to look through, to clear, to sign for.

The one door to it for whoever erases a person or hands them what is held of them.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from tillbridge.secrets import Vault
from tillbridge.store.erasing import ERASED_REASON, Eraser
from tillbridge.store.searching import Payload, Searched, blot_file, payloads, search
from tillbridge.store.sought import Sought
from tillbridge.store.state import State
from tillbridge.store.tombstones import Erasure

# Files beside the state that may repeat what a remote said.
_LOGS = ("tillbridge.log", "tillbridge.log.1", "tillbridge-crash.txt")


class Holdings:
    """What a home directory holds, opened with its key."""

    def __init__(self, state: State, vault: Vault, home: Path) -> None:
        self._state = state
        self._vault = vault
        self.home = home

    def payloads(self, unreadable: list[str]) -> Iterator[Payload]:
        """Open every sealed payload; what does not open is named in `unreadable`."""
        return payloads(self._state, self._vault, unreadable)

    def search(self, sought: Sought, spared: Collection[str] = ()) -> Searched:
        """Look for somebody in every payload, row and file; `spared` facts are the search's own."""
        return search(self._state, self._vault, self.home, sought, spared)

    def clear(self, erasure: Erasure, sought: Sought, *, keep_links: bool) -> Mapping[str, int]:
        """Clear an erased person out of the state; return how many rows of each table went or changed."""
        day = datetime.fromtimestamp(erasure.erased_at, UTC).date().isoformat()
        reason = ERASED_REASON.format(day=day, id=erasure.id)
        crm_ids = [crm_id for _, crm_id in erasure.crm]
        eraser = Eraser(self._state, self._vault, erasure.till_ids, crm_ids, sought, reason)
        return eraser.clear(keep_links=keep_links)

    def blot_logs(self, sought: Sought) -> int:
        """Blot somebody out of the logs; return how many lines changed."""
        paths = [self.home / name for name in _LOGS]
        return sum(blot_file(path, sought) for path in paths if sought and path.is_file())

    def sealed(self, sought: Sought, place: str) -> str:
        """Seal what is looked for, as text."""
        return base64.b64encode(self._vault.seal(msgspec.json.encode(sought), place)).decode()

    def opened(self, text: str, place: str) -> Sought:
        """Open what was sealed."""
        return msgspec.json.decode(self._vault.open(base64.b64decode(text), place), type=Sought)

    def sign(self, document: Mapping[str, object]) -> str:
        """Sign a report."""
        return self._vault.sign(_canonical(document))

    def is_signed(self, document: Mapping[str, object], signature: str) -> bool:
        """Say whether a report is ours and unchanged."""
        return self._vault.is_signed(_canonical(document), signature)


def _canonical(document: Mapping[str, object]) -> bytes:
    return msgspec.json.encode(document, order="sorted")
