"""Phone numbers by country, and the many ways a counter writes one down.

Numbers lie in ranges kept for fiction or little used (North American 555 exchanges and the like).
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from tillbridge.simulators.retailer.names import Town

NO_PHONES = ("n/a", "000", "0000000000", "-", "ask husband")
DIAL = {"US": "1", "NL": "31", "JP": "81", "AU": "61", "BE": "32"}
TRUNK = {"US": "", "NL": "0", "JP": "0", "AU": "0", "BE": "0"}
# How the national significant number is grouped, and its fixed beginning.
GROUPS = {"US": (3, 3, 4), "NL": (1, 4, 4), "JP": (2, 4, 4), "AU": (3, 3, 3), "BE": (3, 2, 2, 2)}
MOBILE_START = {"NL": "655", "JP": "9055", "AU": "4915", "BE": "47055"}


@dataclass(frozen=True, slots=True)
class Phone:
    """A phone number: two-letter country and national significant number."""

    country: str
    number: str

    @property
    def e164(self) -> str:
        """The one true spelling."""
        return f"+{DIAL[self.country]}{self.number}"


def draw(rng: Random, town: Town, *, crowded: bool = False) -> Phone:
    """Draw a number of the town's country; a crowded town has used up its fictional exchange."""
    country = town.country_code
    if country == "US":
        exchange = rng.randrange(200, 990) if crowded else 555
        return Phone(country, f"{rng.choice(town.area_codes)}{exchange}{rng.randrange(10_000):04d}")
    start, length = MOBILE_START[country][: 2 if crowded else 9], sum(GROUPS[country])
    return Phone(country, start + "".join(str(rng.randrange(10)) for _ in range(length - len(start))))


def spell(rng: Random, phone: Phone, *, national_is_clear: bool = True, extension: bool = False) -> str:
    """Write a number as people do. Without its country code only where that can be guessed: in the account's
    own country, or with an address beside it.
    """  # noqa: D205
    parts = _groups(phone)
    dial, trunk = DIAL[phone.country], TRUNK[phone.country]
    national = [trunk + parts[0], *parts[1:]]
    written = [
        f"+{dial} " + " ".join(parts),
        f"+{dial}" + "".join(parts),
        f"+{dial}-" + "-".join(parts),
    ]
    if trunk:
        written += [f"+{dial} (0){' '.join(parts)}", f"+{dial} (0) {''.join(parts)}"]
    else:
        written += [f"+{dial} ({parts[0]}) {'-'.join(parts[1:])}", f"{dial}-{'-'.join(parts)}"]
    if phone.country == "US" or national_is_clear:
        written += ["-".join(national), " ".join(national), "".join(national), ".".join(national)]
        written += [f"({national[0]}) {'-'.join(national[1:])}", f" {''.join(national)} "]
    text = rng.choice(written)
    if extension or rng.random() < 0.01:
        text += rng.choice((" ext. 12", " x204", " ext 7"))
    return text


def _groups(phone: Phone) -> list[str]:
    parts, at = [], 0
    for size in GROUPS[phone.country]:
        parts.append(phone.number[at : at + size])
        at += size
    return parts
