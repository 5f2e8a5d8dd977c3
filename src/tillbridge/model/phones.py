"""Phone numbers in one spelling: E.164, or none where the digits cannot be a number.

The till holds what somebody typed. Without a leading plus the number is read
as people in `region` (two letters, ISO 3166) would dial it.
"""

from __future__ import annotations

import re
from functools import lru_cache

import phonenumbers

# A number is asked for several times while its batch of customers is decided about, hardly ever later.
_NUMBERS_KEPT_MAX = 4_000
_EXTENSION = re.compile(r"\s*(?:ext\.?|extension|x|#|tst\.?)\s*\d{1,6}\s*$", re.IGNORECASE)
REGIONS = frozenset(phonenumbers.SUPPORTED_REGIONS)


@lru_cache(maxsize=_NUMBERS_KEPT_MAX)
def e164(number: str, region: str | None) -> str | None:
    """Return the number as +<country><digits>, or None when it cannot be one. An extension is left out."""
    text = _EXTENSION.sub("", number.strip())
    if text.startswith("00") and region not in {"US", "CA"}:
        text = "+" + text[2:]
    try:
        parsed = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    # "Possible", not "valid": numbering plans grow faster than this table.
    if not phonenumbers.is_possible_number(parsed):
        return None
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
