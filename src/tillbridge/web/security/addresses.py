"""Which hosts an administrator may name in the console: none of this machine's, and none of its own network.

Whoever may set where alerts go must not thereby reach what only this machine can
reach: a cloud's metadata, a database, a router. Whoever owns the machine may
write such an address into tillbridge.toml, or set console.own_network.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

Resolve = Callable[[str], Iterable[str]]


def resolved(host: str) -> list[str]:
    """Return the addresses of a host; none when nobody knows it, or it is no name at all."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [str(each[4][0]) for each in found]


def refusal(address: str, resolve: Resolve = resolved) -> str | None:
    """Return why a host or an address with one may not be named, or None."""
    host = _host(address)
    if not host:
        return None
    if any(not _is_outside(each) for each in (host, *resolve(host))):
        return (
            "leads to this machine or its own network; set it in tillbridge.toml itself, "
            "or allow that there with console.own_network"
        )
    return None


def _host(address: str) -> str:
    if ":" in address and "/" not in address and address.count(":") > 1:
        return address.strip("[]")  # A bare IPv6 address; one colon would be a port.
    try:
        return urlsplit(address if "://" in address else f"//{address}").hostname or ""
    except ValueError:
        return ""


def _is_outside(text: str) -> bool:
    """Say whether this is no address at all, or one that anybody can reach."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return text.lower().rstrip(".") != "localhost"
    inner = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None) or address
    return bool(inner.is_global and not inner.is_multicast)
