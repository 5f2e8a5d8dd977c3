"""Record ids: 15 case-sensitive characters and three that spell their case (fact sheet §2.1).

Ids of one prefix rise in the order of creation, so ORDER BY Id is the order of creation.
"""

from __future__ import annotations

import re
from itertools import count

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_CHECK = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
# Two digits at a time: 3,844 strings are cheaper than a division for each character.
_PAIRS = [a + b for a in _DIGITS for b in _DIGITS]
_PAIR_COUNT = len(_PAIRS)
_SHAPE = re.compile(r"[a-zA-Z0-9]{15}(?:[a-zA-Z0-9]{3})?\Z")
_INSTANCE = "Wt0"


def _check_char(group: str) -> str:
    """Return the check character of five characters: bit i is set if character i is a capital."""
    bits = 0
    for i, char in enumerate(group):
        if "A" <= char <= "Z":
            bits |= 1 << i
    return _CHECK[bits]


def with_checksum(id15: str) -> str:
    """Return the 18-character form of a 15-character id."""
    return id15 + _check_char(id15[0:5]) + _check_char(id15[5:10]) + _check_char(id15[10:15])


def well_formed(text: str) -> bool:
    """Say whether this could be an id at all."""
    return _SHAPE.match(text) is not None


class IdMint:
    """Hands out ids, one rising series for each prefix."""

    def __init__(self, instance: str = _INSTANCE) -> None:
        self._instance = instance
        self._series: dict[str, count[int]] = {}
        self._groups: dict[str, str] = {}

    def new(self, prefix: str) -> str:
        """Return the next id of a prefix, 18 characters."""
        series = self._series.get(prefix)
        if series is None:
            series = self._series[prefix] = count(1)
        high, low = divmod(next(series), _PAIR_COUNT)
        high, middle = divmod(high, _PAIR_COUNT)
        top, high = divmod(high, _PAIR_COUNT)
        # Three characters of prefix, three of instance, one reserved "0", eight that count.
        head = f"{prefix}{self._instance}0{_PAIRS[top]}{_PAIRS[high][0]}"
        tail = f"{_PAIRS[high][1]}{_PAIRS[middle]}{_PAIRS[low]}"
        checks = self._groups.get(head)
        if checks is None:
            checks = self._groups[head] = _check_char(head[0:5]) + _check_char(head[5:10])
        return f"{head}{tail}{checks}{_check_char(tail)}"
