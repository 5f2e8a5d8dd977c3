"""The Lightspeed simulator's OAuth server, fact by fact (fact sheet A2)."""

from __future__ import annotations

import base64
import hashlib
import json
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
import pytest
from lightspeed_counter import Counter, empty_account

CLIENT = {"client_id": "demo-client", "client_secret": "demo-secret"}
REFRESH = {"grant_type": "refresh_token", "refresh_token": "demo-refresh", **CLIENT}


@pytest.fixture
def till():
    return empty_account(switches={"bucket": False, "burst": False})


def works(till: Counter, token: str) -> bool:
    till.token = token
    return till.call("GET", "Shop").status == 200


def hint_of_401(till: Counter, token: str) -> str:
    till.token = token
    response = till.call("GET", "Shop")
    assert 401 == response.status
    return json.loads(response.body)["hint"]


def code_for(till: Counter, scope: str = "employee:all", **more: str) -> str:
    query = {"response_type": "code", "client_id": "demo-client", "scope": scope, "state": "s1", **more}
    response = till.send("GET", f"/auth/oauth/authorize?{urlencode(query)}")
    assert 302 == response.status, response.body
    back = parse_qs(urlsplit(response.headers["Location"]).query)
    assert ["s1"] == back["state"]
    return back["code"][0]


def trade(till: Counter, code: str, **more: str) -> tuple[int, dict]:
    return till.tokens(**{"grant_type": "authorization_code", "code": code, "refresh_token": "", **more})


# ---- the pair ----


def test_a2_a_refresh_answers_with_a_new_pair(till):
    status, pair = till.tokens()
    assert 200 == status
    assert {"token_type", "expires_in", "access_token", "refresh_token"} == pair.keys()
    assert ("Bearer", 3600) == (pair["token_type"], pair["expires_in"])
    assert "demo-refresh" != pair["refresh_token"]


def test_a2_the_access_token_is_an_rs256_jwt_with_acct_and_float_times(till):
    _, pair = till.tokens()
    keys = json.loads(till.send("GET", "/.well-known/jwks").body)["keys"]
    claims = jwt.decode(
        pair["access_token"],
        jwt.PyJWK(keys[0]),
        ["RS256"],
        audience="demo-client",
        options={"verify_exp": False, "verify_nbf": False, "verify_iat": False},
    )
    assert keys[0]["kid"] == jwt.get_unverified_header(pair["access_token"])["kid"]
    assert "190001" == claims["acct"]
    assert {float} == {type(claims[name]) for name in ("iat", "nbf", "exp")}
    assert "employee:all" == claims["scope"]


def test_a2_expires_in_is_what_the_server_says(till):
    till.switch(expires_in=1800)
    _, pair = till.tokens()
    assert 1800 == pair["expires_in"]
    assert works(till, pair["access_token"])
    till.clock.advance(1800)
    assert "Access token could not be verified" == hint_of_401(till, pair["access_token"])


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        pytest.param("application/json", json.dumps(REFRESH).encode(), id="JSON"),
        pytest.param("application/x-www-form-urlencoded", urlencode(REFRESH).encode(), id="a form"),
        pytest.param(
            "multipart/form-data; boundary=b0",
            b"".join(
                f'--b0\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n'.encode()
                for k, v in REFRESH.items()
            )
            + b"--b0--\r\n",
            id="multipart",
        ),
    ],
)
def test_a2_the_token_request_may_be(till, content_type, body):
    response = till.send("POST", "/auth/oauth/token", body, content_type=content_type)
    assert 200 == response.status, response.body


# ---- rotation ----


def test_a2_refreshing_invalidates_the_old_access_token(till):
    _, first = till.tokens()
    assert works(till, first["access_token"])
    _, second = till.tokens(first["refresh_token"])
    assert "Access token has been revoked" == hint_of_401(till, first["access_token"])
    assert works(till, second["access_token"])


def test_a2_the_used_refresh_token_lives_until_the_new_access_token_is_used(till):
    till.tokens()
    status, pair = till.tokens()
    assert 200 == status
    assert works(till, pair["access_token"])
    status, error = till.tokens()
    assert (400, "invalid_grant", "Token has been revoked") == (status, error["error"], error["hint"])


def test_a2_using_a_pair_also_ends_the_tokens_before_the_one_that_paid_for_it(till):
    _, first = till.tokens()
    _, second = till.tokens(first["refresh_token"])
    assert works(till, second["access_token"])
    assert 400 == till.tokens("demo-refresh")[0]
    assert 400 == till.tokens(first["refresh_token"])[0]
    assert 200 == till.tokens(second["refresh_token"])[0]


@pytest.mark.parametrize(("revokes", "expected"), [(True, 400), (False, 200)])
def test_a2_whether_a_retried_refresh_kills_the_pair_of_the_lost_answer_is_a_switch(till, revokes, expected):
    till.switch(retried_refresh_revokes_sibling=revokes)
    _, lost = till.tokens()
    till.tokens()
    assert expected == till.tokens(lost["refresh_token"])[0]


def test_a2_a_connection_may_refresh_five_times_a_minute(till):
    assert [200] * 5 + [429] == [till.tokens()[0] for _ in range(6)]
    till.clock.advance(60)
    assert 200 == till.tokens()[0]


def test_a2_an_unused_refresh_token_dies_after_thirty_days(till):
    _, pair = till.tokens()
    till.clock.advance(30 * 86_400 + 1)
    status, error = till.tokens(pair["refresh_token"])
    assert (400, "invalid_grant") == (status, error["error"])


def test_a2_revoking_ends_both_tokens(till):
    _, pair = till.tokens()
    body = urlencode({**CLIENT, "refresh_token": pair["refresh_token"]}).encode()
    assert 200 == till.send("POST", "/auth/oauth/revoke", body).status
    assert "Access token has been revoked" == hint_of_401(till, pair["access_token"])
    assert 400 == till.tokens(pair["refresh_token"])[0]


def test_a2_a_locked_employee_invalidates_what_they_granted(till):
    _, pair = till.tokens()
    till.switch(employee_locked=True)
    assert "Access token has been revoked" == hint_of_401(till, pair["access_token"])


def test_a2_introspection_tells_the_claims_and_does_not_count_as_use(till):
    _, pair = till.tokens()
    answer = till.send("GET", "/auth/oauth/introspect", authorization=f"Bearer {pair['access_token']}")
    assert "190001" == json.loads(answer.body)["acct"]
    assert 200 == till.tokens()[0]


# ---- the code grant ----


def test_a2_a_code_is_traded_once_for_a_pair(till):
    code = code_for(till)
    status, pair = trade(till, code)
    assert 200 == status
    assert works(till, pair["access_token"])
    assert 400 == trade(till, code)[0]


@pytest.mark.parametrize(("seconds", "expected"), [(59, 200), (61, 400)])
def test_a2_a_code_lives_sixty_seconds(till, seconds, expected):
    code = code_for(till)
    till.clock.advance(seconds)
    assert expected == trade(till, code)[0]


def test_a2_pkce_proves_the_client_and_spares_the_secret(till):
    verifier = "v" * 64
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()

    def attempt(told: str) -> int:
        code = code_for(till, code_challenge=challenge, code_challenge_method="S256")
        return trade(till, code, code_verifier=told, client_secret="")[0]

    assert (400, 200) == (attempt("w" * 64), attempt(verifier))


def test_a2_the_token_carries_the_scopes_that_were_asked_for(till):
    _, pair = trade(till, code_for(till, "employee:register_read employee:customers_read"))
    claims = jwt.decode(pair["access_token"], options={"verify_signature": False})
    assert "employee:customers_read employee:register_read" == claims["scope"]


# ---- scopes ----


@pytest.mark.parametrize(
    ("scope", "resource", "expected"),
    [
        ("employee:register_read", "Sale", 200),
        ("employee:register_read", "Customer", 403),
        ("employee:customers_read", "Customer", 200),
        ("employee:customers_read", "CreditAccount", 403),
        ("employee:customers", "CreditAccount", 200),
        ("employee:register", "SaleVoid", 403),
        ("employee:admin_void_sale", "SaleVoid", 200),
        ("employee:inventory_read", "Item", 200),
        ("employee:register_read", "Item", 403),
        ("employee:all", "SaleVoid", 200),
    ],
)
def test_a2_a_scope_opens_a_resource(till, scope, resource, expected):
    till.token = trade(till, code_for(till, scope))[1]["access_token"]
    assert expected == till.call("GET", resource).status


def test_a2_a_reading_scope_cannot_write(till):
    till.token = trade(till, code_for(till, "employee:customers_read"))[1]["access_token"]
    assert 403 == till.call("POST", "Customer", body={"firstName": "Maren"}).status


def test_a2_rights_shrink_with_the_employee(till):
    till.switch(employee_rights="employee:register_read")
    assert 200 == till.call("GET", "Sale").status
    assert 403 == till.call("GET", "Customer").status


# ---- errors ----


@pytest.mark.parametrize(
    ("method", "body", "status", "error", "hint"),
    [
        pytest.param("GET", {}, 405, "invalid_request", None, id="not a POST"),
        pytest.param(
            "POST", {**REFRESH, "grant_type": ""}, 400, "invalid_request", "grant_type", id="no grant type"
        ),
        pytest.param(
            "POST", {**REFRESH, "refresh_token": ""}, 400, "invalid_request", "refresh_token", id="no token"
        ),
        pytest.param(
            "POST", {**REFRESH, "client_secret": "x"}, 401, "invalid_client", None, id="wrong secret"
        ),
        pytest.param("POST", {**REFRESH, "client_id": "x"}, 401, "invalid_client", None, id="wrong client"),
        pytest.param(
            "POST",
            {**REFRESH, "refresh_token": "x"},
            400,
            "invalid_grant",
            "refresh token",
            id="unknown token",
        ),
        pytest.param(
            "POST", {**REFRESH, "scope": "employee:all"}, 400, "invalid_scope", None, id="scope sent along"
        ),
        pytest.param(
            "POST",
            {**REFRESH, "grant_type": "password"},
            400,
            "unsupported_grant_type",
            None,
            id="other grant",
        ),
    ],
)
def test_a2_the_token_endpoint_refuses(till, method, body, status, error, hint):
    response = till.send(method, "/auth/oauth/token", urlencode(body).encode())
    answer = json.loads(response.body)
    assert (status, error) == (response.status, answer["error"])
    assert answer["error_description"] == answer["message"]
    if hint:
        assert hint in answer["hint"]


def test_a2_an_unknown_scope_is_refused_at_the_authorize_page(till):
    query = urlencode({"response_type": "code", "client_id": "demo-client", "scope": "employee:everything"})
    response = till.send("GET", f"/auth/oauth/authorize?{query}")
    assert (400, "invalid_scope") == (response.status, json.loads(response.body)["error"])


def test_a2_a_dead_token_is_answered_in_the_present_shape(till):
    till.token = "nonsense"
    response = till.call("GET", "Sale")
    assert 401 == response.status
    assert {
        "error": "access_denied",
        "error_description": "The resource owner or authorization server denied the request.",
        "hint": "Access token could not be verified",
    } == json.loads(response.body)


def test_a2_or_by_switch_in_the_old_one(till):
    till.switch(legacy_401=True)
    till.token = "nonsense"
    response = till.call("GET", "Sale")
    answer = json.loads(response.body)
    assert ("401", "BadAuthenticationRequestError") == (answer["httpCode"], answer["errorClass"])
    assert 'Basic realm="MerchantOS API"' == response.headers["WWW-Authenticate"]
    assert "text/html; charset=UTF-8" == response.headers["Content-Type"]


# ---- the old server ----


def test_a2_the_old_server_names_scopes_and_does_not_rotate(till):
    def refresh() -> dict:
        response = till.send("POST", "/oauth/access_token.php", urlencode(REFRESH).encode())
        assert 200 == response.status
        return json.loads(response.body)

    answer = refresh()
    assert "employee:all systemuserid:55001" == answer["scope"]
    assert "refresh_token" not in answer
    assert works(till, answer["access_token"])
    assert works(till, refresh()["access_token"])


def test_a2_an_old_refresh_token_is_migrated_by_one_refresh_at_the_new_endpoint(till):
    till.send("POST", "/oauth/access_token.php", urlencode(REFRESH).encode())
    _, pair = till.tokens()
    assert works(till, pair["access_token"])
    assert 400 == till.send("POST", "/oauth/access_token.php", urlencode(REFRESH).encode()).status
