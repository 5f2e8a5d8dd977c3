"""By what somebody is recognised, on either side: what a person compares who has to say who is who."""

from __future__ import annotations

import msgspec

from tillbridge.model.answers import CrmPersonRow
from tillbridge.model.names import fold
from tillbridge.sync.match import Person


class Traits(msgspec.Struct, frozen=True, kw_only=True):
    """What is compared of somebody, on either side."""

    id: str
    object: str | None
    link: str | None
    name: str | None
    company: str | None
    emails: list[str]
    phones: list[str]
    street: str | None
    city: str | None
    born: str | None
    why: str | None = None
    linked_to: str | None = None
    same: list[str] = []  # in which of these they agree with whom they are beside
    differs: list[str] = []


def traits_of(
    shown: Person | CrmPersonRow,
    its_id: str,
    *,
    why: str | None = None,
    linked_to: str | None = None,
    of: str | None = None,
    link: str | None = None,
) -> Traits:
    """Return what is compared of somebody; `of`: the object that holds them, `link`: where that is seen."""
    return Traits(
        id=its_id,
        object=of,
        link=link,
        name=" ".join(filter(None, (shown.first, shown.last))) or None,
        company=shown.company,
        emails=list(shown.emails),
        phones=list(shown.phones),
        street=shown.street,
        city=" ".join(filter(None, (shown.zip, shown.city))) or None,
        born=shown.birth_date.isoformat() if shown.birth_date else None,
        why=why,
        linked_to=linked_to,
    )


_COMPARED = ("name", "company", "emails", "phones", "street", "city", "born")


def beside(own: Traits | None, candidates: list[Traits]) -> list[Traits]:
    """Say of each candidate in what they agree with somebody, and in what both say something else."""
    if own is None:
        return candidates
    found = []
    for each in candidates:
        same: list[str] = []
        differs: list[str] = []
        for name in _COMPARED:
            mine, theirs = _told(getattr(own, name), name), _told(getattr(each, name), name)
            if mine and theirs:
                (same if mine & theirs else differs).append(name)
        found.append(msgspec.structs.replace(each, same=same, differs=differs))
    return found


def _told(value: str | list[str] | None, name: str) -> set[str]:
    """Bring a trait to what is compared: folded words, and of a phone its last digits."""
    values = [value] if isinstance(value, str) else value or []
    if name == "phones":
        return {"".join(ch for ch in each if ch.isdigit())[-_DIGITS:] for each in values}
    return {fold(each) if name != "emails" else each.lower() for each in values} - {""}


# Countries and trunk prefixes stand before these.
_DIGITS = 8
