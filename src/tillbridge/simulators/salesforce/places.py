"""State and country picklists: a code or a known name, and no state without its country (fact sheet §7.1)."""

from __future__ import annotations

from tillbridge.simulators.salesforce.columns import Columns
from tillbridge.simulators.salesforce.standard import COUNTRIES, STATES
from tillbridge.simulators.salesforce.table import Row
from tillbridge.simulators.salesforce.values import Refused

_COUNTRY_CODES = {name.lower(): code for code, name in COUNTRIES.items()}
_STATE_CODES = {
    country: {name.lower(): code for code, name in states.items()} for country, states in STATES.items()
}


def check(columns: Columns, values: Row, row: Row | None) -> None:
    """Settle name and code of each touched address; the code wins over the name."""
    for prefix in _prefixes(columns):
        if any(f"{prefix}{part}" in values for part in ("State", "StateCode", "Country", "CountryCode")):
            _settle(prefix, values, row or {})


def _prefixes(columns: Columns) -> list[str]:
    fields = columns.sobject.fields.values()
    return [
        f.name[: -len("Address")]
        for f in fields
        if f.type == "address" and f"{f.name[:-7]}StateCode" in columns.sobject.fields
    ]


def _settle(prefix: str, values: Row, row: Row) -> None:
    country = _country(prefix, values, row)
    state_code, state = values.get(f"{prefix}StateCode"), values.get(f"{prefix}State")
    if state_code is None and state is None:
        if f"{prefix}State" in values or f"{prefix}StateCode" in values:
            values[f"{prefix}State"] = values[f"{prefix}StateCode"] = None
        return
    if country is None:
        raise _problem(
            "Please specify a country/territory before specifying a state/province.: Country",
            f"{prefix}Country",
        )
    code = state_code or _STATE_CODES.get(country, {}).get(str(state).lower())
    if code is None or code not in STATES.get(country, {}):
        text = "Please select a state from the list of valid states.: State/Province"
        raise _problem(text, f"{prefix}State")
    values[f"{prefix}StateCode"], values[f"{prefix}State"] = code, STATES[country][code]


def _country(prefix: str, values: Row, row: Row) -> str | None:
    code, name = values.get(f"{prefix}CountryCode"), values.get(f"{prefix}Country")
    if code is None and name is None:
        if f"{prefix}Country" in values or f"{prefix}CountryCode" in values:
            values[f"{prefix}Country"] = values[f"{prefix}CountryCode"] = None
            return None
        kept: str | None = row.get(f"{prefix}CountryCode")
        return kept
    code = code or _COUNTRY_CODES.get(str(name).lower())
    if code is None or code not in COUNTRIES:
        text = "Please select a country/territory from the list of valid countries.: Country/Territory"
        raise _problem(text, f"{prefix}Country", what="country")
    values[f"{prefix}CountryCode"], values[f"{prefix}Country"] = code, COUNTRIES[code]
    return str(code)


def _problem(advice: str, field: str, what: str = "state") -> Refused:
    return Refused(
        "FIELD_INTEGRITY_EXCEPTION",
        f"There's a problem with this {what}, even though it may appear correct. {advice}",
        [field],
    )
