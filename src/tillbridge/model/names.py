"""Whether two names may be one person's: folded, with nicknames, initials, married and misspelt forms.

Like = the same family name or a small slip of it *and* first names that go
together: equal, a nickname, an initial, or both names swapped. What a reader
would get wrong: a slip in a first name is not like but near, since Maria and
Mario are two people; near names are for a person to look at.
"""

from __future__ import annotations

import html
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from rapidfuzz.distance import OSA

from tillbridge.model.nicknames import NICKNAMES

# As many as a batch of customers and those it is compared with have, and no more: a chain has millions.
_NAMES_KEPT_MAX = 4_000

# Letters that no decomposition takes apart.
_LETTERS = str.maketrans({"ø": "o", "æ": "ae", "œ": "oe", "ß": "ss", "ł": "l", "đ": "d", "ð": "d", "þ": "th"})
_APOSTROPHES = str.maketrans("", "", "'’‘`´ʼ")  # noqa: RUF001  These are the very characters people type.

_PARTICLE_WORDS = """
van von vom zu zum zur der den de des het ter ten te t d da das do dos di del della delle dello degli du la le
las los el al bin ibn ben af av y e i op in aan bij uit over onder st
"""
PARTICLES = frozenset(_PARTICLE_WORDS.split())
_TITLE_WORDS = "mr mrs ms miss mx dr prof sir dame dhr mevr mw mej herr frau hr fr mme mlle sr sra srta jr"
_TITLES = frozenset(_TITLE_WORDS.split())


def _nickname_groups() -> dict[str, frozenset[int]]:
    groups: dict[str, set[int]] = {}
    for number, names in enumerate(NICKNAMES):
        for name in names:
            groups.setdefault(_fold(name), set()).add(number)
    return {name: frozenset(numbers) for name, numbers in groups.items()}


@dataclass(frozen=True, slots=True)
class Likeness:
    """How alike two names are, and in which way."""

    degree: Literal["like", "near", "unlike"]
    how: str


UNLIKE = Likeness("unlike", "another name")
_SAME = Likeness("like", "same name")


def fold(text: str | None) -> str:
    """Return the name as compared: no accents, no case, no punctuation, single blanks."""
    return _fold(text) if text else ""


@lru_cache(maxsize=_NAMES_KEPT_MAX)
def _fold(text: str) -> str:
    if "&" in text:
        text = html.unescape(text)
    plain = unicodedata.normalize("NFKD", text.casefold().translate(_LETTERS)).translate(_APOSTROPHES)
    letters = (ch if ch.isalnum() else " " for ch in plain if not unicodedata.combining(ch))
    return " ".join("".join(letters).split())


_GROUPS = _nickname_groups()


def like_name(a: tuple[str | None, str | None], b: tuple[str | None, str | None]) -> Likeness:
    """Compare two (first, last) names."""
    return _like(fold(a[0]), fold(a[1]), fold(b[0]), fold(b[1]))


def like_company(a: str | None, b: str | None) -> bool:
    """Say whether two company names are one, legal forms left aside."""
    mine, yours = company_core(a), company_core(b)
    return bool(mine) and mine == yours


_LEGAL_WORDS = """
inc incorporated llc ltd limited corp corporation co company plc gmbh ag kg ohg bv nv vof sa sarl sas srl sl
pty kk b v n k
"""
_LEGAL = frozenset(_LEGAL_WORDS.split())


def company_core(name: str | None) -> str:
    """Return a company's name without its legal form."""
    words = fold(name).split()
    while len(words) > 1 and words[-1] in _LEGAL:
        words.pop()
    return " ".join(words)


@lru_cache(maxsize=_NAMES_KEPT_MAX)
def _like(first: str, last: str, other_first: str, other_last: str) -> Likeness:
    if not (first or last) or not (other_first or other_last):
        return Likeness("near", "one has no name")
    if first == other_first and last == other_last and first and last:
        return _SAME
    family = _family(last, other_last)
    given = _given(first, other_first)
    if family and given:
        return _SAME if family == given == "same" else Likeness("like", _together(given, family))
    if _swapped(first, last, other_first, other_last):
        return Likeness("like", "first and last name swapped")
    return _nearly(first, last, other_first, other_last, family, given)


_GIVEN = {
    "same": "same first name",
    "nickname": "short first name",
    "initial": "first initial",
    "part": "one of two first names",
}
_FAMILY = {
    "same": "same family name",
    "respelt": "family name with a slip",
    "part": "one of two family names",
}


def _together(given: str, family: str) -> str:
    return f"{_GIVEN[given]}, {_FAMILY[family]}"


def _nearly(
    first: str, last: str, other_first: str, other_last: str, family: str | None, given: str | None
) -> Likeness:
    """Tell apart what a person should look at from what is plainly somebody else."""
    if family and not (first and other_first):
        return Likeness("near", "one has no first name")
    if given and not (last and other_last):
        return Likeness("near", "one has no family name")
    if family and _slip(first, other_first):
        return Likeness("near", "first name with a slip")
    if family and first.split()[:1] == other_first.split()[:1]:
        return Likeness("near", "first names agree in part")
    if given == "same" and len(first) > 2:
        return Likeness("near", "another family name")
    return UNLIKE


def _given(a: str, b: str) -> str | None:
    """Say how two first names go together: same, part, initial, nickname; None when they do not."""
    if not a or not b:
        return None
    mine, yours = _words(a), _words(b)
    if mine == yours or "".join(mine) == "".join(yours):
        return "same"
    if len(mine[0]) == 1 or len(yours[0]) == 1:
        return "initial" if _initials_agree(mine, yours) else None
    if mine[0] == yours[0]:
        # "Anna Maria" may be called Anna; Anna Maria and Anna Sophie are two.
        return "part" if len(mine) == 1 or len(yours) == 1 or _initials_agree(mine, yours) else None
    if _GROUPS.get(mine[0], frozenset()) & _GROUPS.get(yours[0], frozenset()):
        return "nickname" if len(mine) == 1 or len(yours) == 1 or mine[1:] == yours[1:] else None
    return None


def _initials_agree(mine: list[str], yours: list[str]) -> bool:
    return all(
        one == other or (1 in {len(one), len(other)} and one[0] == other[0])
        for one, other in zip(mine, yours, strict=False)
    )


def _family(a: str, b: str) -> str | None:
    """Say how two family names go together: same, part (married), respelt; None when they do not."""
    if not a or not b:
        return None
    mine, yours = _core(a), _core(b)
    joined, others = "".join(mine), "".join(yours)
    if joined == others:
        return "same"
    if _slip_of_family(joined, others):
        return "respelt"
    shared = set(mine) & set(yours)
    if shared and (set(mine) <= shared or set(yours) <= shared) and max(map(len, shared)) > 2:
        return "part"
    return None


def _words(name: str) -> list[str]:
    words = name.split()
    return [word for word in words if word not in _TITLES] or words


def _core(name: str) -> list[str]:
    words = name.split()
    return [word for word in words if word not in PARTICLES and word not in _TITLES] or words


def _slip_of_family(a: str, b: str) -> bool:
    shorter, longer = sorted((len(a), len(b)))
    if shorter < 4 or longer < 5 or a[0] != b[0]:
        return False
    allowed = 2 if shorter > 8 else 1
    return OSA.distance(a, b, score_cutoff=allowed) <= allowed


def _slip(a: str, b: str) -> bool:
    if min(len(a), len(b)) < 3:
        return False
    return OSA.distance(a.replace(" ", ""), b.replace(" ", ""), score_cutoff=2) <= (1 if len(a) < 6 else 2)


def _swapped(first: str, last: str, other_first: str, other_last: str) -> bool:
    if not (first and last and other_first and other_last):
        return False
    return _core(first) == _core(other_last) and _core(last) == _core(other_first)
