"""Ask for consent in a browser, and trade the code that comes back for a session and a refresh token.

The web-server flow with PKCE. The redirect is compared string for string, so the
very one that consent was asked with goes along with the code.
https://help.salesforce.com/s/articleView?id=xcloud.remoteaccess_oauth_web_server_flow.htm
"""

from __future__ import annotations

from urllib.parse import urlencode

from tillbridge.connectors.http import Http
from tillbridge.connectors.salesforce.auth import TOKEN_SECONDS_MAX, Credentials, Token, read_token
from tillbridge.connectors.salesforce.protocol import failure
from tillbridge.model.errors import CredentialsRefused

# `refresh_token`: to come back without anybody; `id`: to be told which org and user it is.
SCOPES = ("api", "refresh_token", "id")


def consent_url(login_url: str, *, client_id: str, redirect_uri: str, state: str, challenge: str) -> str:
    """Return the address where a person allows Tillbridge what it asks for."""
    query = urlencode(
        {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join(SCOPES),
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
    )
    return f"{login_url.rstrip('/')}/services/oauth2/authorize?{query}"


def exchange(
    http: Http,
    login_url: str,
    *,
    client_id: str,
    client_secret: str | None,
    redirect_uri: str,
    code: str,
    verifier: str,
) -> Token:
    """Trade a code for a session with its refresh token.

    Raises CredentialsRefused, LimitReached, Transient.
    """
    form = {
        "grant_type": "authorization_code",
        "client_id": client_id,
        "redirect_uri": redirect_uri,
        "code": code,
        "code_verifier": verifier,
    }
    if client_secret:
        form["client_secret"] = client_secret
    answer = http.request(
        "POST",
        f"{login_url.rstrip('/')}/services/oauth2/token",
        headers={"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"},
        content=urlencode(form).encode(),
        timeout_total=TOKEN_SECONDS_MAX,
    )
    if answer.status >= 500 or answer.status in {420, 429}:
        raise failure(answer)
    asked = Credentials("refresh_token", login_url, client_id, client_secret, refresh_token=code)
    token = read_token(answer, asked)
    if token.refresh_token is None:
        raise CredentialsRefused(
            "Salesforce let us in, but not for good: give the app the OAuth scope refresh_token "
            "(perform requests at any time), and connect again"
        )
    return token
