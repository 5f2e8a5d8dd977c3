"""E-mail addresses folded for comparing, and whether one is well formed. Nothing is looked up."""

from __future__ import annotations

from functools import lru_cache

from email_validator import EmailNotValidError, validate_email

_ADDRESSES_KEPT_MAX = 4_000  # some batches of customers


def fold_email(address: str | None) -> str | None:
    """Return the spelling to compare by: no blanks, small letters. Dots and +tags may tell people apart."""
    folded = "".join((address or "").split()).casefold()
    return folded if "@" in folded else None


@lru_cache(maxsize=_ADDRESSES_KEPT_MAX)
def well_formed(address: str) -> bool:
    """Say whether a mail system would take the address: syntax only, ASCII before the @."""
    try:
        checked = validate_email(
            address, check_deliverability=False, allow_smtputf8=False, globally_deliverable=False
        )
    except EmailNotValidError:
        return False
    return "." in checked.ascii_domain if checked.ascii_domain else False
