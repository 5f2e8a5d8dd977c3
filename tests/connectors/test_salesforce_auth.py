"""How we log in to Salesforce, and what each refusal of a login says."""

import json
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from random import Random
from urllib.parse import parse_qsl

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tillbridge.connectors.http import Http, HttpAnswer
from tillbridge.connectors.salesforce import auth
from tillbridge.connectors.salesforce.auth import Credentials, Session
from tillbridge.connectors.salesforce.retry import Attempts, RetryPolicy
from tillbridge.model.errors import ConfigurationInvalid, CredentialsRefused, LimitReached, Transient
from tillbridge.model.writing import CrmOrg
from tillbridge.simulators.clock import SimClock
from tillbridge.simulators.httpd import Response, Server

NOW = datetime(2026, 11, 21, 12, 0, 0, 900_000, UTC)
KEY = rsa.generate_private_key(65537, 2048)
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
MY_DOMAIN = "https://example.my.salesforce.com"


class JumpingClock:
    """Time that passes only when somebody waits."""

    def __init__(self, now=NOW):
        self._now = now
        self.waited = []

    def now(self):
        return self._now

    def monotonic(self):
        return self._now.timestamp()

    def sleep(self, seconds):
        self.waited.append(seconds)
        self._now += timedelta(seconds=seconds)


class Script:
    """A token endpoint that answers what it is told, and remembers what it was asked."""

    def __init__(self, *answers):
        self.clock = SimClock(NOW.timestamp())
        self.answers = list(answers)
        self.forms = []

    def handle(self, request):
        assert "/services/oauth2/token" == request.path
        assert "application/json" == request.headers["accept"]
        self.forms.append(dict(parse_qsl(request.body.decode())))
        return self.answers.pop(0)

    def control(self, request):
        raise AssertionError(request.path)


@contextmanager
def served(app):
    server, http = Server(app).start(), Http()
    try:
        yield server.url, http
    finally:
        http.close()
        server.close()


def token_body(access="00D!1", instance=MY_DOMAIN, **more):
    return {
        "access_token": access,
        "instance_url": instance,
        "id": "https://login.salesforce.com/id/00D000000000001/005000000000001AAA",
        "token_type": "Bearer",
        "issued_at": "1790000000000",
        "signature": "x=",
        **more,
    }


def oauth(error, description=None):
    return {"error": error} | ({"error_description": description} if description else {})


def granted(**more):
    return Response.of(token_body(**more))


def refused(error="invalid_grant", description=None, status=400, **headers):
    return Response.of(oauth(error, description), status, **headers)


def session(http, credentials, clock=None, store=None):
    clock = clock or JumpingClock()
    return Session(
        http, credentials, clock=clock, attempts=Attempts(RetryPolicy(), clock, Random(1)), store=store
    )


def jwt_credentials(url=MY_DOMAIN, **more):
    return Credentials("jwt", url, "consumer-key", username="sync@example.com", private_key=PEM, **more)


def refresh_credentials(url):
    return Credentials("refresh_token", url, "key", client_secret="secret", refresh_token="first")


# -- what is sent ---------------------------------------------------------------


def test_an_assertion_says_who_for_whom_and_until_when():
    claims = jwt.decode(
        auth.assertion(jwt_credentials(), NOW),
        KEY.public_key(),
        algorithms=["RS256"],
        options={"verify_exp": False, "verify_aud": False},
    )

    assert {
        "iss": "consumer-key",
        "sub": "sync@example.com",
        "aud": "https://login.salesforce.com",
        "exp": int(NOW.timestamp()) + 170,
    } == claims


@pytest.mark.parametrize(
    ("login_url", "configured", "expected"),
    [
        ("https://login.salesforce.com", None, "https://login.salesforce.com"),
        ("https://test.salesforce.com", None, "https://test.salesforce.com"),
        ("https://example.my.salesforce.com", None, "https://login.salesforce.com"),
        ("https://example--uat.sandbox.my.salesforce.com", None, "https://test.salesforce.com"),
        ("http://127.0.0.1:8080", None, "https://login.salesforce.com"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080", "http://127.0.0.1:8080"),
    ],
)
def test_the_audience(login_url, configured, expected):
    assert expected == auth.audience(jwt_credentials(login_url, audience=configured))


def test_the_client_credentials_form():
    credentials = Credentials("client_credentials", MY_DOMAIN, "key", client_secret="secret")

    assert {
        "grant_type": "client_credentials",
        "client_id": "key",
        "client_secret": "secret",
    } == auth.token_form(credentials, NOW, None)


def test_the_refresh_form():
    assert {
        "grant_type": "refresh_token",
        "client_id": "key",
        "client_secret": "secret",
        "refresh_token": "second",
    } == auth.token_form(refresh_credentials(MY_DOMAIN), NOW, "second")


@pytest.mark.parametrize(
    ("credentials", "path"),
    [
        pytest.param(
            Credentials("jwt", MY_DOMAIN, "k", private_key=PEM), "salesforce.username", id="no username"
        ),
        pytest.param(
            Credentials("jwt", MY_DOMAIN, "k", username="u"), "salesforce.private_key_file", id="no key"
        ),
        pytest.param(
            Credentials("client_credentials", MY_DOMAIN, "k"), "salesforce.client_secret", id="no secret"
        ),
        pytest.param(
            Credentials("refresh_token", MY_DOMAIN, "k"), "salesforce.refresh_token", id="no refresh token"
        ),
        pytest.param(
            jwt_credentials("http://example.com"), "salesforce.login_url", id="plain http to the world"
        ),
        pytest.param(jwt_credentials("example.com"), "salesforce.login_url", id="no scheme"),
        pytest.param(jwt_credentials(f"{MY_DOMAIN}/services"), "salesforce.login_url", id="a path"),
        pytest.param(
            jwt_credentials("https://example.lightning.force.com"),
            "salesforce.login_url",
            id="the browsers' host",
        ),
        pytest.param(
            Credentials("client_credentials", "https://login.salesforce.com", "k", client_secret="s"),
            "salesforce.login_url",
            id="client credentials at the shared host",
        ),
    ],
)
def test_credentials_that_cannot_work_are_named_before_anything_is_sent(credentials, path):
    with pytest.raises(ConfigurationInvalid) as found:
        auth.check(credentials)

    assert [path] == [where for where, _ in found.value.mistakes]


def test_a_key_that_is_none_is_named_without_quoting_it():
    credentials = Credentials("jwt", MY_DOMAIN, "k", username="u", private_key="-----BEGIN nonsense")

    with pytest.raises(ConfigurationInvalid, match="private_key_file") as found:
        auth.assertion(credentials, NOW)

    assert "nonsense" not in str(found.value)


def test_secrets_are_in_no_repr():
    shown = repr(
        Credentials("refresh_token", MY_DOMAIN, "k", "hush-1", refresh_token="hush-2", private_key="hush-3")
    )

    assert "hush" not in shown
    assert "hush" not in repr(auth.Token("hush", CrmOrg("1", "2", MY_DOMAIN), "hush"))


# -- what comes back --------------------------------------------------------------


def read(status, body, **headers):
    raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return auth.read_token(HttpAnswer(status, headers, raw), jwt_credentials())


def test_a_token_says_org_user_and_where_to_call():
    token = read(200, token_body(instance=f"{MY_DOMAIN}/"))

    assert CrmOrg("00D000000000001EAA", "005000000000001AAA", MY_DOMAIN) == token.org
    assert "00D!1" == token.access


@pytest.mark.parametrize(
    ("instance", "part"),
    [
        ("http://elsewhere.example.com", "in the clear"),
        ("https://example.lightning.force.com", "for browsers"),
    ],
)
def test_data_never_goes_to_an_unsafe_address(instance, part):
    with pytest.raises(CredentialsRefused, match=part):
        read(200, token_body(instance=instance))


def test_a_token_without_identity_needs_a_scope():
    with pytest.raises(CredentialsRefused, match="scope"):
        read(200, token_body(id=""))


@pytest.mark.parametrize(
    ("status", "body", "part"),
    [
        (400, oauth("invalid_grant", "user hasn't approved this consumer"), "pre-authorise"),
        (400, oauth("invalid_grant", "expired access/refresh token"), "authorise the app again"),
        (400, oauth("invalid_grant", "audience is invalid"), "salesforce.audience"),
        (400, oauth("invalid_grant", "expired authorization code"), "set the clock"),
        (400, oauth("invalid_grant", "user is locked"), "unlock"),
        (400, oauth("invalid_grant", "authentication failure"), "salesforce.username"),
        (400, oauth("invalid_grant"), "salesforce.username"),
        (400, oauth("invalid_client_id", "client identifier invalid"), "consumer key"),
        (400, oauth("invalid_client", "invalid client credentials"), "client_secret"),
        (401, oauth("invalid_client", "invalid client credentials"), "client_secret"),
        (400, oauth("unsupported_grant_type", "grant type not supported"), "My Domain"),
        (400, oauth("something_new"), "configuration"),
        (404, "<html>nothing here</html>", "salesforce.login_url"),
        (200, "<html>a shop</html>", "salesforce.login_url"),
    ],
)  # fmt: skip
def test_a_refused_login_says_what_to_do(status, body, part):
    with pytest.raises(CredentialsRefused, match=part):
        read(status, body)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (503, "<html>busy</html>", Transient),
        (429, "", Transient),
        (400, {"error": "invalid_grant", "error_description": "login rate exceeded"}, LimitReached),
    ],
)
def test_a_login_that_failed_for_now(status, body, expected):
    with pytest.raises(expected):
        read(status, body)


# -- over HTTP ----------------------------------------------------------------------


def test_one_login_serves_all_who_ask():
    with served(Script(granted())) as (url, http):
        one = session(http, jwt_credentials(url))
        tokens = {id(one.token()) for _ in range(3)}

    assert 1 == len(tokens)
    assert 1 == one.logins


def test_threads_whose_token_was_refused_log_in_once():
    with served(Script(granted(access="old"), granted(access="new"))) as (url, http):
        one = session(http, jwt_credentials(url))
        old = one.token()
        found = []
        threads = [
            threading.Thread(target=lambda: found.append(one.token(refused=old).access)) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert ["new"] * 8 == found
    assert 2 == one.logins


def test_the_servers_clock_is_believed_when_ours_is_wrong():
    """Ours is ten minutes slow: the assertion looks expired there."""
    theirs = NOW + timedelta(minutes=10)
    date = theirs.strftime("%a, %d %b %Y %H:%M:%S GMT")
    app = Script(refused(description="expired authorization code", Date=date), granted())

    with served(app) as (url, http):
        session(http, jwt_credentials(url)).token()

    ends = [jwt.decode(f["assertion"], options={"verify_signature": False})["exp"] for f in app.forms]
    assert [int(NOW.timestamp()) + 170, int(theirs.timestamp()) + 170] == ends


def test_the_servers_clock_is_believed_only_once():
    no = refused(description="expired authorization code")

    with served(Script(no, no)) as (url, http), pytest.raises(CredentialsRefused, match="clock"):
        session(http, jwt_credentials(url)).token()


def audiences(app):
    return [jwt.decode(form["assertion"], options={"verify_signature": False})["aud"] for form in app.forms]


def test_another_audience_is_tried_and_the_right_one_kept():
    no = refused(description="audience is invalid")
    app = Script(no, no, granted(), granted())

    with served(app) as (url, http):
        one = session(http, jwt_credentials(url))
        one.token(refused=one.token())

    assert ["https://login.salesforce.com", "https://test.salesforce.com", url, url] == audiences(app)


def test_a_configured_audience_is_the_only_one():
    app = Script(refused(description="audience is invalid"))

    with served(app) as (url, http), pytest.raises(CredentialsRefused, match=r"salesforce\.audience"):
        session(http, jwt_credentials(url, audience="https://a.example.com")).token()

    assert ["https://a.example.com"] == audiences(app)


def test_a_busy_token_endpoint_is_asked_again():
    clock = JumpingClock()

    with served(Script(Response(503, b"<html>"), Response(429, b"", {"Retry-After": "7"}), granted())) as (
        url,
        http,
    ):
        one = session(http, jwt_credentials(url), clock)
        assert "00D!1" == one.token().access

    assert 3 == one.logins
    assert 7.0 == clock.waited[1]


class Notebook:
    """A token store in memory that remembers in which order it was used."""

    def __init__(self, stored=None):
        self.stored = stored
        self.story = []

    def load(self):
        self.story.append("load")
        return self.stored

    def save(self, refresh_token):
        self.story.append(f"save {refresh_token}")
        self.stored = refresh_token

    @contextmanager
    def lock(self):
        self.story.append("lock")
        yield
        self.story.append("unlock")


def test_a_rotated_token_is_saved_under_the_lock_and_used_next():
    app = Script(granted(refresh_token="second"), granted(refresh_token="third"))
    store = Notebook()

    with served(app) as (url, http):
        one = session(http, refresh_credentials(url), store=store)
        one.token(refused=one.token())

    assert ["first", "second"] == [form["refresh_token"] for form in app.forms]
    assert ["lock", "load", "save second", "unlock", "lock", "load", "save third", "unlock"] == store.story


def test_a_stored_token_wins_over_the_configured_one():
    app = Script(granted())

    with served(app) as (url, http):
        session(http, refresh_credentials(url), store=Notebook("stored")).token()

    assert "stored" == app.forms[0]["refresh_token"]


def test_without_rotation_nothing_is_saved():
    store = Notebook()

    with served(Script(granted(), granted(refresh_token="first"))) as (url, http):
        one = session(http, refresh_credentials(url), store=store)
        one.token(refused=one.token())

    assert "first" == (store.stored or "first")
    assert [] == [entry for entry in store.story if entry.startswith("save")]


def test_without_a_store_a_rotated_token_is_kept_in_memory():
    app = Script(granted(refresh_token="second"), granted())

    with served(app) as (url, http):
        one = session(http, refresh_credentials(url))
        one.token(refused=one.token())

    assert ["first", "second"] == [form["refresh_token"] for form in app.forms]
