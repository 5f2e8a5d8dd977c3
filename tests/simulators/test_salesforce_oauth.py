"""The simulator's front door. Each test names the part of the fact sheet it states (§1 authentication)."""

import base64
import hashlib
import hmac
import json
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from salesforce_doors import DATA, NOON, ORIGIN, ask, form, new_org

from tillbridge.simulators.httpd import Response
from tillbridge.simulators.salesforce import oauth

TOKEN = "/services/oauth2/token"
JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PUBLIC = (
    KEY.public_key()
    .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    .decode()
)
CALLBACK = "https://till.example/callback"


@pytest.fixture
def org():
    made = new_org()
    made.add_user("sync@shop.example", "Sync User", email="sync@shop.example")
    client = oauth.Client("3MVG9app", "s3cret", PUBLIC, run_as="sync@shop.example", redirect_uris=[CALLBACK])
    oauth.register(made, client)
    return made


def client_of(org):
    return oauth.state(org).clients["3MVG9app"]


def user_of(org):
    return org.user_named("sync@shop.example")


def claims(**changes):
    return {
        "iss": "3MVG9app",
        "sub": "sync@shop.example",
        "aud": "https://login.salesforce.com",
        "exp": int(NOON) + 170,
    } | changes


def by_jwt(org, key=KEY, **changes):
    assertion = jwt.encode(claims(**changes), key, algorithm="RS256")
    return oauth.handle(org, form(TOKEN, grant_type=JWT_GRANT, assertion=assertion))


def by_refresh(org, token, **more):
    fields = {"client_id": "3MVG9app", "client_secret": "s3cret"} | more
    return oauth.handle(org, form(TOKEN, grant_type="refresh_token", refresh_token=token, **fields))


def body(response):
    return json.loads(response.body)


def refusal(response):
    assert 400 == response.status
    told = body(response)
    return told["error"], told.get("error_description")


def knock(org, token, **headers):
    return oauth.authenticate(org, ask("GET", f"{DATA}/limits", authorization=f"Bearer {token}", **headers))


# --- §1.1 token response ---


def test_a_token_answer_has_everything_but_an_expiry(org):
    response = by_jwt(org)
    told = body(response)
    issued_at = str(int(NOON * 1000))
    identity = f"https://login.salesforce.com/id/{org.id}/{user_of(org).id}"
    signed = hmac.new(b"s3cret", (identity + issued_at).encode(), hashlib.sha256).digest()
    assert 200 == response.status
    assert "Sforce-Limit-Info" not in response.headers
    assert told.pop("access_token").startswith(org.id[:15] + "!AQ")
    assert {
        "signature": base64.b64encode(signed).decode(),
        "scope": "api openid id",
        "instance_url": ORIGIN,
        "id": identity,
        "token_type": "Bearer",
        "issued_at": issued_at,
    } == told


def test_the_instance_url_can_differ_from_the_login_host(org):
    org.switches["instance_url"] = "https://shop.my.salesforce.com"
    assert "https://shop.my.salesforce.com" == body(by_jwt(org))["instance_url"]


# --- §1.2 JWT bearer ---


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param(
            {"aud": "https://shop.my.salesforce.com"},
            "audience is invalid",
            id="another My Domain as audience",
        ),
        pytest.param({"aud": None}, "audience is invalid", id="no audience"),
        pytest.param({"exp": int(NOON) - 1}, "expired authorization code", id="already expired"),
        pytest.param(
            {"exp": int(NOON) + 300}, "expired authorization code", id="five minutes ahead is too far"
        ),
        pytest.param({"exp": int(NOON * 1000) + 60_000}, "expired authorization code", id="milliseconds"),
        pytest.param({"exp": "soon"}, "invalid assertion", id="not a number"),
        pytest.param({"sub": "nobody@shop.example"}, "user hasn't approved this consumer", id="unknown user"),
    ],
)
def test_jwt_refusals(org, changes, expected):
    assert ("invalid_grant", expected) == refusal(by_jwt(org, **changes))


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"aud": "https://test.salesforce.com"}, id="the sandbox audience"),
        pytest.param({"aud": ORIGIN}, id="the own origin, while the switch is on"),
        pytest.param({"exp": str(int(NOON) + 180)}, id="exp as a string of seconds (trap 27)"),
        pytest.param({"sub": "SYNC@shop.example"}, id="user names know no case"),
    ],
)
def test_jwt_accepts(org, changes):
    assert 200 == by_jwt(org, **changes).status


def test_the_own_origin_is_no_audience_when_switched_off(org):
    org.switches["jwt_own_origin"] = False
    assert ("invalid_grant", "audience is invalid") == refusal(by_jwt(org, aud=ORIGIN))


def test_a_signature_by_another_key_is_refused(org):
    assert ("invalid_grant", "invalid assertion") == refusal(by_jwt(org, key=OTHER_KEY))


def test_an_unsigned_or_shared_secret_assertion_is_refused(org):
    for key, algorithm in ((None, "none"), ("s3cret" * 8, "HS256")):
        assertion = jwt.encode(claims(), key, algorithm=algorithm)
        answer = oauth.handle(org, form(TOKEN, grant_type=JWT_GRANT, assertion=assertion))
        assert ("invalid_grant", "invalid assertion") == refusal(answer)


def test_an_unknown_consumer_is_named_so(org):
    assert ("invalid_client_id", "client identifier invalid") == refusal(by_jwt(org, iss="3MVG9other"))


def test_a_user_the_admin_did_not_approve_is_refused(org):
    client_of(org).approved = {"someone@shop.example"}
    assert ("invalid_grant", "user hasn't approved this consumer") == refusal(by_jwt(org))
    client_of(org).approved = {"sync@shop.example"}
    assert 200 == by_jwt(org).status


def test_jwt_gives_no_refresh_token(org):
    assert "refresh_token" not in body(by_jwt(org))


# --- §1.2 client credentials ---


def basic(key="3MVG9app", secret="s3cret"):
    packed = base64.b64encode(f"{key}:{secret}".encode()).decode()
    return ask("POST", TOKEN, b"grant_type=client_credentials", authorization=f"Basic {packed}")


def test_client_credentials_in_the_body_or_as_basic(org):
    in_body = form(TOKEN, grant_type="client_credentials", client_id="3MVG9app", client_secret="s3cret")
    for request in (in_body, basic()):
        told = body(oauth.handle(org, request))
        assert user_of(org).id == knock(org, told["access_token"]).id
        assert "refresh_token" not in told


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        pytest.param(
            basic(secret="wrong"), ("invalid_client", "invalid client credentials"), id="wrong secret"
        ),
        pytest.param(
            basic(key="other"), ("invalid_client_id", "client identifier invalid"), id="unknown app"
        ),
        pytest.param(
            form(TOKEN, grant_type="client_credentials", client_id="3MVG9app"),
            ("invalid_client", "invalid client credentials"),
            id="no secret",
        ),
        pytest.param(
            form(TOKEN, grant_type="client_credentials"),
            ("invalid_request", "missing required parameter: client_id"),
            id="no client",
        ),
        pytest.param(
            form(TOKEN, client_id="3MVG9app"),
            ("invalid_request", "missing required parameter: grant_type"),
            id="no grant type",
        ),
        pytest.param(
            form(TOKEN, grant_type="device"),
            ("unsupported_grant_type", "grant type not supported"),
            id="unknown grant type",
        ),
        pytest.param(
            form(TOKEN, grant_type="password", username="a", password="b"),
            ("invalid_grant", "authentication failure"),
            id="the password flow is off",
        ),
    ],
)
def test_token_refusals(org, request_, expected):
    assert expected == refusal(oauth.handle(org, request_))


def test_client_credentials_are_for_my_domain_only(org):
    org.switches["client_credentials_refused"] = True
    assert ("invalid_grant", "request not supported on this domain") == refusal(oauth.handle(org, basic()))


def test_client_credentials_need_a_run_as_user(org):
    client_of(org).run_as = ""
    assert ("invalid_grant", "no client credentials user enabled") == refusal(oauth.handle(org, basic()))


def test_a_locked_or_inactive_user_gets_no_token(org):
    oauth.state(org).locked.add("sync@shop.example")
    assert ("invalid_grant", "user is locked") == refusal(by_jwt(org))
    oauth.state(org).locked.clear()
    user_of(org).active = False
    assert ("invalid_grant", "authentication failure") == refusal(by_jwt(org))


# --- §1.2 refresh token ---


def test_without_rotation_the_refresh_token_stays(org):
    token = oauth.grant(org, "3MVG9app", "sync@shop.example")
    for _ in range(3):
        told = body(by_refresh(org, token))
        assert "refresh_token" not in told
        assert user_of(org).id == knock(org, told["access_token"]).id


def test_rotation_replaces_the_token_and_reuse_revokes_the_family(org):
    client_of(org).rotation = True
    first = oauth.grant(org, "3MVG9app", "sync@shop.example")
    told = body(by_refresh(org, first))
    second, access = told["refresh_token"], told["access_token"]
    assert first != second
    assert ("invalid_grant", "expired access/refresh token") == refusal(by_refresh(org, first))
    assert ("invalid_grant", "expired access/refresh token") == refusal(by_refresh(org, second))
    assert 401 == knock(org, access).status


def test_the_sixth_grant_silently_ends_the_first(org):
    tokens = [oauth.grant(org, "3MVG9app", "sync@shop.example") for _ in range(6)]
    statuses = [by_refresh(org, token).status for token in tokens]
    assert [400, 200, 200, 200, 200, 200] == statuses


def test_a_refresh_token_belongs_to_its_app(org):
    oauth.register(org, oauth.Client("3MVG9other", "other"))
    token = oauth.grant(org, "3MVG9app", "sync@shop.example")
    answer = by_refresh(org, token, client_id="3MVG9other", client_secret="other")
    assert ("invalid_grant", "expired access/refresh token") == refusal(answer)


# --- §1.2 web server flow with PKCE ---

VERIFIER = "v" * 100
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


def authorize(org, **changes):
    wish = {
        "response_type": "code",
        "client_id": "3MVG9app",
        "redirect_uri": CALLBACK,
        "state": "xyz",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    } | changes
    return oauth.handle(org, form("/services/oauth2/authorize", **wish))


def code_of(response):
    return parse_qs(urlsplit(response.headers["Location"]).query)["code"][0]


def redeem(org, code, **changes):
    wish = {"redirect_uri": CALLBACK, "client_id": "3MVG9app", "code_verifier": VERIFIER} | changes
    return oauth.handle(org, form(TOKEN, grant_type="authorization_code", code=code, **wish))


def test_the_web_flow_ends_with_a_refresh_token(org):
    back = authorize(org)
    assert 302 == back.status
    assert "state=xyz" in back.headers["Location"]
    told = body(redeem(org, code_of(back)))
    assert 200 == by_refresh(org, told["refresh_token"]).status


def test_without_the_scope_there_is_no_refresh_token(org):
    assert "refresh_token" not in body(redeem(org, code_of(authorize(org, scope="api"))))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param(
            {"code_verifier": "other"}, ("invalid_grant", "invalid code verifier"), id="another verifier"
        ),
        pytest.param(
            {"redirect_uri": CALLBACK + "/"},
            ("redirect_uri_mismatch", "redirect_uri must match configuration"),
            id="redirect_uri is compared string for string",
        ),
    ],
)
def test_code_refusals(org, changes, expected):
    assert expected == refusal(redeem(org, code_of(authorize(org)), **changes))


def test_a_code_serves_once_and_not_for_long(org):
    code, late = code_of(authorize(org)), code_of(authorize(org))
    redeem(org, code)
    assert ("invalid_grant", "expired authorization code") == refusal(redeem(org, code))
    org.clock.advance(601)
    assert ("invalid_grant", "expired authorization code") == refusal(redeem(org, late))


def test_a_denied_consent_comes_back_as_an_error(org):
    org.switches["authorize_denied"] = True
    assert "error=access_denied" in authorize(org).headers["Location"]


# --- §1.3 session expiry ---


def test_activity_extends_a_session_and_silence_ends_it(org):
    token = body(by_jwt(org))["access_token"]
    for _ in range(3):
        org.clock.advance(7_000)
        assert user_of(org).id == knock(org, token).id
    org.clock.advance(7_200)
    response = knock(org, token)
    assert isinstance(response, Response)
    assert 401 == response.status
    assert "Token" == response.headers["WWW-Authenticate"]
    assert [{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}] == body(response)


def test_sessions_end_at_once_when_revoked(org):
    token = body(by_jwt(org))["access_token"]
    assert 1 == oauth.revoke_sessions(org)
    assert 401 == knock(org, token).status


def test_the_session_life_is_a_switch(org):
    org.switches["session_seconds"] = 10
    token = body(by_jwt(org))["access_token"]
    org.clock.advance(10)
    assert 401 == knock(org, token).status


def test_a_token_without_the_api_scope_is_not_for_rest(org):
    client_of(org).scopes = "openid id"
    response = knock(org, body(by_jwt(org))["access_token"])
    assert "This session is not valid for use with the REST API" == body(response)[0]["message"]


def test_logins_are_counted_by_the_hour(org):
    org.switches["logins_an_hour"] = 2
    assert [200, 200, 400] == [by_jwt(org).status for _ in range(3)]
    org.clock.advance(3_600)
    assert 200 == by_jwt(org, exp=int(org.clock.now()) + 60).status


# --- §1.1 the other endpoints ---


def test_introspection_tells_the_end_of_a_token(org):
    token = body(by_jwt(org))["access_token"]
    ask_about = form("/services/oauth2/introspect", token=token, client_id="3MVG9app", client_secret="s3cret")
    told = body(oauth.handle(org, ask_about))
    assert (True, "sync@shop.example", int(NOON) + 7_200) == (told["active"], told["username"], told["exp"])
    org.clock.advance(7_200)
    assert {"active": False} == body(oauth.handle(org, ask_about))


def test_a_revoked_token_is_dead(org):
    refresh = oauth.grant(org, "3MVG9app", "sync@shop.example")
    access = body(by_refresh(org, refresh))["access_token"]
    assert 200 == oauth.handle(org, form("/services/oauth2/revoke", token=refresh)).status
    assert 401 == knock(org, access).status
    assert ("unsupported_token_type", "this token type is not supported") == refusal(
        oauth.handle(org, form("/services/oauth2/revoke", token=refresh))
    )


def test_userinfo_and_identity_name_the_user(org):
    token = body(by_jwt(org))["access_token"]
    user = user_of(org)
    about = oauth.handle(org, ask("GET", "/services/oauth2/userinfo", authorization=f"Bearer {token}"))
    identity = oauth.handle(org, ask("GET", f"/id/{org.id}/{user.id}", authorization=f"Bearer {token}"))
    assert (org.id, user.id) == (body(about)["organization_id"], body(about)["user_id"])
    assert "sync@shop.example" == body(identity)["username"]


def test_userinfo_without_a_token_is_forbidden(org):
    answer = oauth.handle(org, ask("GET", "/services/oauth2/userinfo"))
    assert (403, b"Missing_OAuth_Token") == (answer.status, answer.body)


def test_other_paths_are_not_the_doors_business(org):
    assert oauth.handle(org, ask("GET", f"{DATA}/limits")) is None


def test_the_control_door_sets_up_apps_and_ends_sessions(org):
    setup = ask("POST", "/control/oauth/clients", {"key": "k", "secret": "s", "run_as": "sync@shop.example"})
    assert 201 == oauth.control(org, setup).status
    granted = oauth.control(
        org, ask("POST", "/control/oauth/grants", {"client": "k", "username": "sync@shop.example"})
    )
    answer = by_refresh(org, body(granted)["refresh_token"], client_id="k", client_secret="s")
    assert 200 == answer.status
    assert {"expired": 1} == body(oauth.control(org, ask("POST", "/control/oauth/expire")))
