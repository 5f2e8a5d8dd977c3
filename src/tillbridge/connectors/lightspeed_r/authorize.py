"""Ask for consent in a browser, and trade the code that comes back for the first pair of tokens.

Authorisation code with PKCE. The code lives for 60 seconds and is good once, so
it is never sent twice. The redirect is the one that the client is registered
with: none is named here.
https://developers.lightspeedhq.com/retail/authentication/authorization-code-grant/
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlencode

import msgspec

from tillbridge.connectors.http import Http
from tillbridge.connectors.lightspeed_r import protocol
from tillbridge.connectors.lightspeed_r.protocol import GrantDenied, Granted, TooFast, TryAgain
from tillbridge.model.errors import CredentialsRefused, LimitReached, Transient

AUTHORIZE_PATH = "/auth/oauth/authorize"

# What each is for is written in docs/connecting.md.
SCOPES_TO_READ = (
    "employee:register_read",
    "employee:customers_read",
    "employee:inventory_read",
    "employee:admin_void_sale",
)
SCOPES_TO_WRITE = tuple(
    protocol.WRITE_SCOPE if scope == "employee:customers_read" else scope for scope in SCOPES_TO_READ
)

_SECONDS = 30.0


class NamedAccount(msgspec.Struct, frozen=True):
    """An account that a token is good for."""

    id: str
    name: str


class _Row(msgspec.Struct):
    id: str = msgspec.field(name="accountID")
    name: str = ""


class _Accounts(msgspec.Struct):
    rows: list[_Row] | _Row = msgspec.field(name="Account")


def consent_url(auth_url: str, *, client_id: str, scopes: Collection[str], state: str, challenge: str) -> str:
    """Return the address where a person allows Tillbridge what it asks for."""
    query = urlencode(
        {
            "response_type": "code",
            "client_id": client_id,
            "scope": " ".join(scopes),
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
    )
    return f"{auth_url.rstrip('/')}{AUTHORIZE_PATH}?{query}"


def exchange(
    http: Http, auth_url: str, *, client_id: str, client_secret: str, code: str, verifier: str
) -> Granted:
    """Trade a code for the first pair. Raises CredentialsRefused, LimitReached, Transient."""
    form = {
        "grant_type": "authorization_code",
        "client_id": client_id,
        "client_secret": client_secret,
        "code": code,
        "code_verifier": verifier,
    }
    answer = http.request(
        "POST",
        f"{auth_url.rstrip('/')}{protocol.TOKEN_PATH}",
        headers={"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"},
        content=urlencode(form).encode(),
        timeout_total=_SECONDS,
    )
    match protocol.sort_token_answer(answer):
        case Granted() as granted:
            return granted
        case GrantDenied(code=why, sentence=sentence):
            raise CredentialsRefused(f"{sentence}. {_ADVICE.get(why, _ADVICE_ELSE)}")
        case TooFast(retry_after_seconds=wait):
            raise LimitReached(
                "Lightspeed limits how often tokens are asked for",
                quota="lightspeed token requests",
                resume_after_seconds=wait,
            )
        case TryAgain(sentence=sentence, retry_after_seconds=wait):
            raise Transient(sentence, retry_after_seconds=wait)


_ADVICE = {
    "invalid_client": "Check client id and client secret of the Lightspeed API client.",
    "invalid_grant": "The code is good for a minute and for one use: begin again.",
}
_ADVICE_ELSE = "Check the API client in Lightspeed, and begin again."


def accounts(http: Http, api_url: str, access_token: str) -> list[NamedAccount]:
    """Return the accounts that a token is good for: one, in practice.

    Raises CredentialsRefused, Transient.
    """
    answer = http.request(
        "GET",
        protocol.accounts_request().url(api_url.rstrip("/")),
        headers={"Authorization": f"Bearer {access_token}", "Accept": "application/json"},
        timeout_total=_SECONDS,
    )
    if answer.status in {401, 403}:
        raise CredentialsRefused("Lightspeed does not accept the token that it has just issued. Begin again.")
    if answer.status != 200:
        raise Transient(f"Lightspeed answered {answer.status} when asked for the accounts")
    try:
        rows = msgspec.json.decode(answer.body, type=_Accounts).rows
    except msgspec.DecodeError:
        raise Transient("Lightspeed's list of accounts cannot be read") from None
    named = protocol.token_account(access_token)
    listed = [NamedAccount(row.id, row.name) for row in (rows if isinstance(rows, list) else [rows])]
    return [each for each in listed if named in {None, each.id}] or listed
