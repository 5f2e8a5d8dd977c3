"""What the API takes for a set-up: each body with its bounds. Secrets come in here, and never go out."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from fastapi import Path
from pydantic import Field

from tillbridge.setup.fields import LINES_MAX
from tillbridge.setup.stores import FIRST_DAY, LAST_DAY
from tillbridge.web.api.given import Body

_LINE = r"^[^\x00-\x1f\x7f]*$"
_NAME = r"^[a-z0-9][a-z0-9_-]{0,39}$"

SetUpName = Annotated[str, Path(pattern=_NAME, description="The connection's name.")]
MapTable = Annotated[str, Path(pattern=r"^[a-z]{1,20}$", description="A table of the field map.")]

_Text = Annotated[str, Field(max_length=500, pattern=_LINE)]
_Answer = Annotated[str, Field(min_length=1, max_length=4_000, pattern=_LINE)]
_Ticked = Annotated[
    list[Annotated[str, Field(pattern=r"^[0-9]{1,20}$")]], Field(min_length=1, max_length=2_500)
]


class NewSetUp(Body):
    """The name of a connection that is to be: small letters, digits, - and _."""

    name: Annotated[str, Field(pattern=_NAME)]


class LightspeedGiven(Body):
    """An API client of Lightspeed. `client_secret` empty: the one that is sealed already."""

    client_id: _Text
    client_secret: _Text = ""
    access: Literal["write", "read"] = "write"
    api_url: _Text = ""
    auth_url: _Text = ""


class ConsentGiven(Body):
    """What the other side has sent a browser back with: both stand in the address."""

    state: _Answer
    code: _Answer


class AccountGiven(Body):
    """One of the accounts that the consent is good for."""

    account: Annotated[str, Field(pattern=r"^[0-9]{1,20}$")]


class SalesforceGiven(Body):
    """How Tillbridge logs in. `domain`: for login own; empty secrets: those that are sealed already."""

    auth: Literal["refresh_token", "jwt", "client_credentials"]
    login: Literal["production", "sandbox", "own"] = "production"
    domain: _Text = ""
    client_id: _Text
    client_secret: _Text = ""
    username: _Text = ""
    private_key: Annotated[str, Field(max_length=20_000, pattern=r"^[^\x00]*$")] = ""


class CustomersGiven(Body):
    """What a customer becomes, and which way values flow."""

    model: Literal["person_account", "contact", "lead"]
    mode: Literal["two_way", "till_to_crm", "crm_to_till", "fill_blanks", "link_only"]


class StoresGiven(Body):
    """Which stores and registers take part, by their ids, and since which day; null: all history."""

    stores: _Ticked
    registers: _Ticked
    since: Annotated[date, Field(ge=FIRST_DAY, le=LAST_DAY)] | None = None


class LinesGiven(Body):
    """All lines of a table, by field; those that are left out are not written."""

    lines: Annotated[
        dict[Annotated[str, Field(min_length=1, max_length=255, pattern=_LINE)], _Text],
        Field(max_length=LINES_MAX),
    ]
