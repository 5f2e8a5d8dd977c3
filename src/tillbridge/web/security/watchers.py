"""Who may read the figures: whoever asks from where the configuration says, and tokens for it.

By default that is this very machine. A proxy on it passes on who asks
(X-Forwarded-For); for one that does not, the name by which it was asked still
says that somebody from outside did.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from urllib.parse import urlsplit

from tillbridge.config import Console
from tillbridge.model.hosts import is_loopback
from tillbridge.store.access import Access
from tillbridge.web.security.roles import METRICS, Role, role_named


class Watchers:
    """The door before the figures. `rules` are asked for each time: they may change."""

    def __init__(self, rules: Callable[[], Console], access: Access, now: Callable[[], float]) -> None:
        self._rules, self._access, self._now = rules, access, now

    def may(self, address: str, host: str, authorization: str) -> bool:
        """Say whether somebody may read the figures: by where they are, or by what they bring."""
        return self._is_known(address, host) or self._brings_token(authorization)

    def _is_known(self, text: str, host: str) -> bool:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return False
        address = getattr(address, "ipv4_mapped", None) or address
        if address.is_loopback and not is_loopback(urlsplit(f"//{host}").hostname or ""):
            return False
        return any(address in ipaddress.ip_network(each) for each in self._rules().metrics_from)

    def _brings_token(self, authorization: str) -> bool:
        scheme, _, secret = authorization.partition(" ")
        found = self._access.token(secret.strip(), self._now()) if scheme.lower() == "bearer" else None
        if found is None or not found[1].active:
            return False
        token, person = found
        if METRICS not in token.scopes and "admin" not in token.scopes:
            return False
        # No more than its owner may: all connections are in the figures.
        return role_named(person.role) > Role.ANONYMOUS and person.limits is None
