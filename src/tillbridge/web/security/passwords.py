"""Passwords: argon2id, two at a time, and as slow for a name that nobody has."""

from __future__ import annotations

import threading
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

LENGTH_MIN = 12
# Longer ones are no safer, and hashing a book is a way to keep us busy.
LENGTH_MAX = 256

# RFC 9106, section 4, the choice for little memory: 64 MiB, three passes. argon2-cffi's defaults follow it.
_HASHER = PasswordHasher()

# 64 MiB each: a crowd at the door must not take the machine's memory.
_AT_ONCE = threading.BoundedSemaphore(2)


def weakness(password: str, name: str) -> str | None:
    """Return why a password will not do, or None."""
    if len(password) < LENGTH_MIN:
        return f"A password needs at least {LENGTH_MIN} characters."
    if len(password) > LENGTH_MAX:
        return f"A password has at most {LENGTH_MAX} characters."
    if len(set(password)) < 5 or password.casefold() == name.casefold():
        return "That password is too easy to guess; a few unrelated words make a good one."
    return None


def hash_password(password: str) -> str:
    """Hash a password to keep."""
    with _AT_ONCE:
        return _HASHER.hash(password)


def is_right(password: str, kept: str | None) -> bool:
    """Say whether a password is the one kept. Without one it takes as long, and is never right."""
    with _AT_ONCE:
        try:
            right = _HASHER.verify(kept or _nobodys(), password[: LENGTH_MAX + 1])
        except (VerificationError, InvalidHashError):
            return False
    return right and kept is not None


def is_outdated(kept: str) -> bool:
    """Say whether a hash was made with weaker settings than today's."""
    return _HASHER.check_needs_rehash(kept)


@cache
def _nobodys() -> str:
    """Return a hash that stands in where a name is nobody's, so that the answer takes as long."""
    return _HASHER.hash("nobody has this password")
