"""Two or three letters for the states and provinces that people write both ways, and the other way round.

Only where post is really addressed by such letters: elsewhere a region's name
has no code that a till would know.
"""

from __future__ import annotations

_NAMES = {
    "US": "AL Alabama, AK Alaska, AZ Arizona, AR Arkansas, CA California, CO Colorado, CT Connecticut, "
    "DE Delaware, DC District of Columbia, FL Florida, GA Georgia, HI Hawaii, ID Idaho, IL Illinois, "
    "IN Indiana, IA Iowa, KS Kansas, KY Kentucky, LA Louisiana, ME Maine, MD Maryland, MA Massachusetts, "
    "MI Michigan, MN Minnesota, MS Mississippi, MO Missouri, MT Montana, NE Nebraska, NV Nevada, "
    "NH New Hampshire, NJ New Jersey, NM New Mexico, NY New York, NC North Carolina, ND North Dakota, "
    "OH Ohio, OK Oklahoma, OR Oregon, PA Pennsylvania, RI Rhode Island, SC South Carolina, "
    "SD South Dakota, TN Tennessee, TX Texas, UT Utah, VT Vermont, VA Virginia, WA Washington, "
    "WV West Virginia, WI Wisconsin, WY Wyoming, PR Puerto Rico, GU Guam, VI Virgin Islands",
    "CA": "AB Alberta, BC British Columbia, MB Manitoba, NB New Brunswick, NL Newfoundland and Labrador, "
    "NS Nova Scotia, NT Northwest Territories, NU Nunavut, ON Ontario, PE Prince Edward Island, "
    "QC Quebec, SK Saskatchewan, YT Yukon",
    "AU": "ACT Australian Capital Territory, NSW New South Wales, NT Northern Territory, QLD Queensland, "
    "SA South Australia, TAS Tasmania, VIC Victoria, WA Western Australia",
}
_BY_CODE = {
    country: dict(pair.strip().split(" ", 1) for pair in names.split(","))
    for country, names in _NAMES.items()
}
_BY_NAME = {
    country: {name.casefold(): code for code, name in by_code.items()}
    for country, by_code in _BY_CODE.items()
}
_BY_NAME["CA"]["québec"] = "QC"


def state_code(text: str, country: str | None) -> str | None:
    """Return the letters of a state's name or code in that country (two letters); None where we know none."""
    folded = " ".join(text.split())
    by_code = _BY_CODE.get(country or "", {})
    if folded.upper() in by_code:
        return folded.upper()
    return _BY_NAME.get(country or "", {}).get(folded.casefold())


def state_name(code: str, country: str | None) -> str | None:
    """Return the name that belongs to a state's letters in that country; None where we know none."""
    return _BY_CODE.get(country or "", {}).get(code.strip().upper())


def state_codes(text: str) -> frozenset[tuple[str, str]]:
    """Return what a name or code may mean where the country is not told: pairs of country and letters."""
    return frozenset(
        (country, code) for country in _BY_CODE if (code := state_code(text, country)) is not None
    )
