"""Which hosts an administrator may name in the console: none of this machine's, and none of its own network.

Whoever may set where alerts go must not thereby reach what only this machine can
reach: a cloud's metadata, a database, a router. Whoever owns the machine may
write such an address into tillbridge.toml, or set console.own_network.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import unquote, unquote_plus, urlsplit

Resolve = Callable[[str], Iterable[str]]

_V4 = ipaddress.IPv4Address
_V6 = ipaddress.IPv6Address

# Addresses whose last four bytes are one of IPv4: compatible and mapped (RFC 4291), translated (RFC 2765),
# and those of a NAT64 gateway (RFC 6052).
_WRAPPED = tuple(
    ipaddress.IPv6Network(each) for each in ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96")
)
# A network's own NAT64 (RFC 8215): where IPv4 stands in it, only that network knows.
_OWN_NAT64 = ipaddress.IPv6Network("64:ff9b:1::/48")

# Apprise takes several addresses in one text, and a mail server beside the host that is named.
_NEXT = re.compile(r"[\s,]+(?=[A-Za-z0-9]+://)")
_QUERY = re.compile(r"[?&;]")


def resolved(host: str) -> list[str]:
    """Return the addresses of a host; none when nobody knows it, or it is no name at all."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [str(each[4][0]) for each in found]


def refusal(address: str, resolve: Resolve = resolved) -> str | None:
    """Return why a host or an address with one may not be named, or None."""
    try:
        hosts = [host for host in _hosts(address) if host]
    except ValueError:
        return "cannot be read as an address"
    if any(not _is_outside(each) for host in hosts for each in (host, *resolve(host))):
        return (
            "leads to this machine or its own network; set it in tillbridge.toml itself, "
            "or allow that there with console.own_network"
        )
    return None


def _hosts(address: str) -> Iterator[str]:
    """Return every host that is called for an address. Raises ValueError for what is none."""
    for each in _NEXT.split(address.strip()):
        yield _host(each)
        for part in _QUERY.split(each)[1:]:
            name, _, value = part.partition("=")
            if unquote_plus(name).strip().lower() == "smtp":
                # Apprise opens it twice.
                yield _host(unquote(unquote_plus(value)).strip())


def _host(address: str) -> str:
    if "/" not in address and address.count(":") > 1 and not address.startswith("["):
        return address  # A bare IPv6 address; one colon would be a port.
    return urlsplit(address if "://" in address else f"//{address}").hostname or ""


def _is_outside(text: str) -> bool:
    """Say whether this is no address at all, or one that anybody can reach."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return text.lower().rstrip(".") != "localhost"
    inner = _inner(address) if isinstance(address, _V6) else address
    return inner is not None and inner.is_global and not inner.is_multicast


def _inner(address: _V6) -> _V4 | _V6 | None:
    """Return the address of IPv4 that one of IPv6 stands for, or itself; None where nobody can say."""
    if address in _OWN_NAT64:
        return None
    if any(address in each for each in _WRAPPED):
        return _V4(int(address) & 0xFFFFFFFF)
    return address.sixtofour or address
