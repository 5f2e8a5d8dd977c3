"""Which hosts are this very machine: the only ones that secrets may go to in the clear."""

from __future__ import annotations

import ipaddress


def is_loopback(host: str) -> bool:
    """Tell whether this name or address can only be this very machine."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
