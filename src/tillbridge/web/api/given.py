"""What the API takes: parameters with their bounds, and bodies."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field

from tillbridge.views.figures import OFFSET_MAX

# SQLite's and PostgreSQL's integers end before Python's.
NUMBER_MAX = 2**53
_TEXT = r"^[^\x00]*$"

Id = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,40}$")]
Number = Annotated[int, Path(ge=1, le=NUMBER_MAX)]
Words = Annotated[str, Query(max_length=200, pattern=_TEXT)]
Offset = Annotated[int, Query(ge=0, le=OFFSET_MAX)]
Limit = Annotated[int, Query(ge=1, le=500)]
Day = Annotated[date | None, Query(ge=date(2000, 1, 1), le=date(2100, 12, 31))]
OneDay = Annotated[date, Path(ge=date(2000, 1, 1), le=date(2100, 12, 31))]
Amount = Annotated[
    Decimal | None, Query(ge=-1_000_000_000, le=1_000_000_000, decimal_places=2, allow_inf_nan=False)
]
OneId = Annotated[str | None, Query(pattern=r"^[A-Za-z0-9_-]{1,40}$")]
Cause = Annotated[str | None, Query(max_length=500, pattern=_TEXT)]

_Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,40}$")]
_TillId = Annotated[str, Field(pattern=r"^[0-9]{1,20}$")]
_Number = Annotated[int, Field(ge=1, le=NUMBER_MAX, strict=True)]
_Text = Annotated[str, Field(max_length=2_000, pattern=_TEXT)]
_Name = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[A-Za-z0-9_]+$")]


_Key = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,15}$")]
_Mark = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]


class Body(BaseModel):
    """A body: what it does not know, it refuses."""

    model_config = ConfigDict(extra="forbid")


class Pressed(Body):
    """An empty object: that it is meant."""


class Records(Body):
    """Which records are to be sent: the till's ids, all of which it is asked for at once."""

    ids: Annotated[list[_TillId], Field(min_length=1, max_length=200)]


class CustomersGiven(Body):
    """Which customers of the till are meant."""

    ids: Annotated[list[_TillId], Field(min_length=1, max_length=50)]


class Persons(Body):
    """Which people of Salesforce are meant: their ids of 18 letters and digits."""

    ids: Annotated[
        list[Annotated[str, Field(pattern=r"^[A-Za-z0-9]{18}$")]], Field(min_length=1, max_length=200)
    ]


class Confirm(Body):
    """The person's name, as it stands here: that exactly this one is meant."""

    name: Annotated[str, Field(min_length=1, max_length=300, pattern=_TEXT)]


class Assign(Body):
    """Who is to see to which problems; no user: nobody in particular."""

    ids: Annotated[list[_Number], Field(min_length=1, max_length=1_000)]
    user: Annotated[str, Field(min_length=1, max_length=80, pattern=_TEXT)] | None = None


class Remark(Body):
    """What is to be said of which problems."""

    ids: Annotated[list[_Number], Field(min_length=1, max_length=1_000)]
    text: Annotated[str, Field(min_length=1, max_length=2_000, pattern=_TEXT)]


class Said(Body):
    """Which cluster of duplicates is meant."""

    cluster: Annotated[str, Field(min_length=1, max_length=80, pattern=_TEXT)]


class OnePair(Said):
    """Whether the records of a cluster are one person (merge), or several (apart)."""

    word: Literal["merge", "apart"]


class Retry(Body):
    """Which problems are to be tried again: these, those of a cause, or with neither all that are open."""

    ids: Annotated[list[_Number], Field(max_length=1_000)] = []
    cause: Annotated[str, Field(min_length=1, max_length=500, pattern=_TEXT)] | None = None


class Ignore(Body):
    """Which problems are to be left alone, and why."""

    ids: Annotated[list[_Number], Field(min_length=1, max_length=1_000)]
    note: _Text | None = None


class Edit(Body):
    """Fields of one record, set by hand; none takes back what was set."""

    fields: Annotated[dict[_Name, _Text], Field(max_length=50)] = {}


class Fix(Body):
    """What is to be done about a cause, now and later."""

    cause: Annotated[str, Field(min_length=1, max_length=500, pattern=_TEXT)]
    action: Literal["replace", "default", "leave_out", "add_picklist_value", "undo"]
    field: _Name | None = None
    values: Annotated[dict[_Text, _Text | None], Field(max_length=200)] = {}
    default: _Text | None = None


class Choice(Body):
    """Who somebody is: an id of the other side, "new", or for newcomers "leave"."""

    choice: _Id


class OneOfThem(Choice):
    """Who a customer in review is. `other`: it may be somebody who is no candidate; look twice."""

    other: bool = False


class Ruling(Body):
    """Which side counts in these conflicts. `seen`: by id, the mark of the values as they were shown."""

    ids: Annotated[list[_Number], Field(min_length=1, max_length=500)]
    winner: Literal["till", "crm"]
    seen: Annotated[dict[_Key, _Mark], Field(max_length=500)] = {}


class Seen(Body):
    """The checksum of the plan as it was looked at."""

    checksum: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{16,64}$")]


class PreviewOf(Body):
    """Whom a preview is about; nobody: whatever the next sync would write."""

    customers: Annotated[list[_TillId], Field(max_length=200)] = []


class Undo(Body):
    """Whether it is only to be shown what would be taken back."""

    dry: bool = True


class OneStream(Body):
    """A stream by its name, such as sales or sweep; none: all of the connection."""

    stream: Annotated[str, Field(pattern=r"^[a-z-]{1,40}( [a-z]{1,40})?$")] | None = None
    why: _Text = "paused in the console"


class SettingsGiven(Body):
    """What settings are to be. `seen`: the mark of the section as it was read, so that nothing is undone."""

    settings: Annotated[dict[str, Any], Field(min_length=1, max_length=50)]
    seen: Annotated[str, Field(pattern=r"^[0-9a-f]{0,16}$")] = ""


_Stores = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=80, pattern=_TEXT)]], Field(max_length=500)
]


class UserGiven(Body):
    """What a user is to be. `limits`: codes of the stores that a viewer sees, by connection; null: all."""

    role: Literal["viewer", "operator", "admin"]
    limits: Annotated[dict[str, _Stores], Field(max_length=100)] | None = None
    active: bool = True


class NewUser(UserGiven):
    """Who is to be let in, as what."""

    name: Annotated[str, Field(min_length=1, max_length=80, pattern=r"^\S(?:[^\x00-\x1f]*\S)?$")]


_Word = Annotated[str, Field(max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")]
_Group = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")]


class SignInGiven(Body):
    """What sign-in by an identity provider is to be. `client_secret` null keeps it, "" takes it away."""

    issuer: _Group
    client_id: _Group
    client_secret: _Word | None = None
    name: _Group = "your company account"
    claim: _Group = "groups"
    scopes: Annotated[list[_Group], Field(max_length=50)] = ["openid", "profile", "email"]
    roles: Annotated[dict[_Group, Literal["viewer", "operator", "admin"]], Field(max_length=500)] = {}
    default_role: Literal["viewer", "operator", "admin"] | None = None
    stores: Annotated[dict[_Group, _Stores], Field(max_length=500)] = {}
    email_domains: Annotated[list[_Group], Field(max_length=100)] = []
    seen: Annotated[str, Field(pattern=r"^[0-9a-f]{0,16}$")] = ""


class ProviderGiven(Body):
    """Which identity provider is to be tried; empty: the one that is set."""

    issuer: _Word = ""
