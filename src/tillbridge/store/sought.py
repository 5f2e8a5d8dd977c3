"""What somebody could be recognised by in a text: the names, e-mails and phones that an erasure looks for.

A name counts only whole: first and last name both, each as a word. A phone
counts however its digits are set apart. Notes are not looked for word by word:
they go with the rows that hold them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property
from typing import TypeVar

import msgspec

# Shorter ones are extensions and codes, and would be found everywhere.
_DIGITS_MIN = 6
_WORD_MIN = 2
_BLOT = "…"
_APART = r"[\s().\-/]{0,3}"

Item = TypeVar("Item", str, tuple[str, ...])


class Sought(msgspec.Struct, frozen=True, dict=True):
    """Somebody's names (the words of each), e-mails and phones (digits)."""

    names: tuple[tuple[str, ...], ...] = ()
    emails: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Say whether there is anything to look for."""
        return bool(self.names or self.emails or self.phones)

    def __or__(self, other: Sought) -> Sought:
        """Look for both."""
        return Sought(
            _once((*self.names, *other.names)),
            _once((*self.emails, *other.emails)),
            _once((*self.phones, *other.phones)),
        )

    def found_in(self, text: str) -> list[str]:
        """Say what of it a text holds: "name", "e-mail", "phone"; never the thing itself."""
        lowered = text.casefold()
        found = []
        if any(email in lowered for email in self.emails):
            found.append("e-mail")
        if self.phones and self._phone_pattern.search(text):
            found.append("phone")
        if any(all(word in lowered for word in name) for name in self.names) and self._named(lowered):
            found.append("name")
        return found

    def _named(self, lowered: str) -> bool:
        return any(all(pattern.search(lowered) for pattern in name) for name in self._name_patterns)

    def blotted(self, text: str) -> str:
        """Blot out what a text holds of it."""
        for email in self.emails:
            text = re.sub(re.escape(email), _BLOT, text, flags=re.IGNORECASE)
        if self.phones:
            text = self._phone_pattern.sub(_BLOT, text)
        if "name" in self.found_in(text):
            for name in self.names:
                for word in name:
                    text = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", _BLOT, text, flags=re.IGNORECASE)
        return text

    @cached_property
    def _phone_pattern(self) -> re.Pattern[str]:
        return re.compile("|".join(rf"(?<!\d){_APART.join(digits)}(?!\d)" for digits in self.phones))

    @cached_property
    def _name_patterns(self) -> list[list[re.Pattern[str]]]:
        return [[re.compile(rf"(?<!\w){re.escape(word)}(?!\w)") for word in name] for name in self.names]


def sought(
    *,
    names: Iterable[tuple[str | None, ...]] = (),
    emails: Iterable[str | None] = (),
    phones: Iterable[str | None] = (),
) -> Sought:
    """Fold what is known of somebody into what to look for."""
    words = (tuple(part.strip().casefold() for part in name if part and part.strip()) for name in names)
    digits = ("".join(filter(str.isdigit, phone)) for phone in phones if phone)
    return Sought(
        _once(name for name in words if sum(map(len, name)) >= _WORD_MIN),
        _once(email.strip().casefold() for email in emails if email and "@" in email),
        _once(number for number in digits if len(number) >= _DIGITS_MIN),
    )


def _once(items: Iterable[Item]) -> tuple[Item, ...]:
    return tuple(dict.fromkeys(items))
