"""Sign-in with an identity provider: who is let in, as what, and everything that is not believed."""

import json
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from oidc_provider import CLIENT, SECRET, Provider, rsa_key, shown
from web_console import CONFIG, PASSWORD, Plant

from tillbridge.config import load_console
from tillbridge.model.errors import ConfigurationInvalid
from tillbridge.web.security.oidc import FLOW_SECONDS, SignInRefused, _check_address

OIDC = """
[console.oidc]
issuer = "{issuer}"
client_id = "tillbridge"
client_secret = {secret}
name = "Shop & Sons"
roles = {{ "admins" = "admin", "office" = "operator", "floor" = "viewer" }}
"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    made = Plant(tmp_path_factory.mktemp("home"))
    yield made
    made.close()


@pytest.fixture
def plant(shared):
    shared.begin_again()
    return shared


@pytest.fixture
def provider(plant):
    made = Provider(plant.now)
    set_up(plant, made)
    yield made
    made.close()


def set_up(plant, provider, more=""):
    text = OIDC.format(issuer=provider.issuer, secret=json.dumps(SECRET))
    (plant.folder / "tillbridge.toml").write_text(CONFIG + text + more)


def come_back(plant, provider, browser=None, path="/"):
    """Sign in as a person does; return the browser and what it is answered when it comes back."""
    browser = browser or plant.browser()
    there = browser.get("/login/oidc", params={"next": path})
    assert 303 == there.status_code, there.text
    return browser, browser.get(provider.visit(there.headers["location"]), headers=FROM_ELSEWHERE)


# As a browser is sent by another site: https://www.w3.org/TR/fetch-metadata
FROM_ELSEWHERE = {
    "sec-fetch-site": "cross-site",
    "sec-fetch-mode": "navigate",
    "sec-fetch-dest": "document",
}


def person_named(plant, name):
    return plant.access.named(name)[0]


# --- let in --------------------------------------------------------------------------------------


def test_the_button_stands_where_a_provider_is_set(plant):
    assert "Sign in with" not in plant.browser().get("/login").text

    provider = Provider(plant.now)
    set_up(plant, provider)
    text = plant.browser().get("/login?next=/account").text
    provider.close()

    assert "Sign in with Shop &amp; Sons" in text
    assert 'href="/login/oidc?next=/account"' in text
    assert SECRET not in text


def test_somebody_new_is_let_in_with_the_role_of_their_group(plant, provider):
    browser, answer = come_back(plant, provider, path="/account")

    assert (303, "/account") == (answer.status_code, answer.headers["location"])
    assert "Ana Silva" in browser.get("/account").text
    person = person_named(plant, "ana silva")
    assert ("operator", f"{provider.issuer} u-1") == (person.role, person.subject)
    assert not person.has_password
    assert ["signed in", "user added"] == [each.what for each in plant.access.entries(limit=9)]


def test_whoever_comes_again_is_the_same_person(plant, provider):
    come_back(plant, provider)
    provider.user["name"] = "Ana Lind"
    come_back(plant, provider)

    assert ["Ana Silva"] == [each.name for each in plant.access.people()]


def test_two_of_one_name_are_two(plant, provider):
    plant.person("Ana Silva", "admin")
    come_back(plant, provider)

    by_password, by_provider = person_named(plant, "Ana Silva"), person_named(plant, "ana@shop.example")
    assert (None, "admin") == (by_password.subject, by_password.role)
    assert "operator" == by_provider.role


def test_the_session_is_one_of_its_own_and_ends_the_one_before(plant, provider):
    browser = plant.signed_in("viewer")
    before = browser.cookies["tillbridge"]

    come_back(plant, provider, browser)

    assert before != browser.cookies["tillbridge"]
    assert plant.access.session(before) is None


def test_a_day_later_they_sign_in_again(plant, provider):
    browser, _ = come_back(plant, provider)
    plant.clock.sleep(3_600 * 11)
    assert 200 == browser.get("/account").status_code
    plant.clock.sleep(3_600 * 11)
    assert 200 == browser.get("/account").status_code
    plant.clock.sleep(3_600 * 3)

    assert "/login?next=/account" == browser.get("/account").headers["location"]


@pytest.mark.parametrize("method", [("RS256", "first"), ("ES256", "second")], ids=["RSA", "elliptic curve"])
def test_both_kinds_of_signature_are_known(plant, provider, method):
    provider.method, provider.kid = method

    assert 303 == come_back(plant, provider)[1].status_code


def test_a_new_key_is_looked_up(plant, provider):
    come_back(plant, provider)
    plant.clock.sleep(61)
    provider.keys, provider.kid = {"third": ("RS256", rsa_key("third"))}, "third"

    assert 303 == come_back(plant, provider)[1].status_code


def test_the_provider_is_asked_what_it_is_once_an_hour(plant, provider):
    for _ in range(3):
        come_back(plant, provider)

    assert 1 == provider.asked.count("/.well-known/openid-configuration") == provider.asked.count("/keys")


def test_a_provider_that_takes_the_secret_in_the_form_gets_it_there(plant, provider):
    provider.describes = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}

    assert 303 == come_back(plant, provider)[1].status_code


@pytest.mark.parametrize(
    ("groups", "more", "expected"),
    [
        pytest.param(["floor"], "", "viewer", id="one group"),
        pytest.param(["floor", "admins", "else"], "", "admin", id="the widest counts"),
        pytest.param("office", "", "operator", id="a claim that is one word"),
        pytest.param([], 'default_role = "viewer"\n', "viewer", id="everybody else"),
        pytest.param(["office"], 'email_domains = ["SHOP.example"]\n', "operator", id="of the domain"),
    ],
)
def test_groups_make_roles(plant, provider, groups, more, expected):
    set_up(plant, provider, more)
    provider.groups = groups
    come_back(plant, provider)

    assert expected == person_named(plant, "Ana Silva").role


def test_a_claim_may_stand_inside_another(plant, provider):
    set_up(plant, provider, 'claim = "realm_access.roles"\n')
    provider.user["realm_access"] = {"roles": ["admins"]}
    come_back(plant, provider)

    assert "admin" == person_named(plant, "Ana Silva").role


def test_the_role_follows_the_groups(plant, provider):
    plant.person("Root", "admin")
    provider.groups = ["admins"]
    first, _ = come_back(plant, provider)
    provider.groups = ["floor"]
    come_back(plant, provider)

    assert "viewer" == person_named(plant, "Ana Silva").role
    assert "/login" in first.get("/account").headers["location"]
    assert "user changed" in [each.what for each in plant.access.entries(limit=9)]


def test_the_last_administrator_stays_one(plant, provider):
    provider.groups = ["admins"]
    come_back(plant, provider)
    provider.groups = ["floor"]
    come_back(plant, provider)

    assert "admin" == person_named(plant, "Ana Silva").role


def test_a_viewers_stores_stay_theirs(plant, provider):
    plant.person("Root", "admin")
    provider.groups = ["floor"]
    come_back(plant, provider)
    person = person_named(plant, "Ana Silva")
    plant.access.change(person.id, role="viewer", limits={"default": ["001"]}, active=True)
    come_back(plant, provider)

    assert {"default": ["001"]} == person_named(plant, "Ana Silva").limits


def test_a_viewers_stores_are_theirs_again_after_another_role(plant, provider):
    plant.person("Root", "admin")
    provider.groups = ["floor"]
    come_back(plant, provider)
    number = person_named(plant, "Ana Silva").id
    plant.access.change(number, role="viewer", limits={"default": ["001"]}, active=True)
    provider.groups = ["office"]
    come_back(plant, provider)
    between = person_named(plant, "Ana Silva")
    provider.groups = ["floor"]
    come_back(plant, provider)

    assert ("operator", None) == (between.role, between.limits)
    assert {"default": ["001"]} == person_named(plant, "Ana Silva").limits


STORES = 'stores = { "harbour" = ["2"], "hill" = ["default/1"], "auditors" = ["*"] }\n'


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        pytest.param(["floor", "harbour"], {"default": ["2"]}, id="one store"),
        pytest.param(["floor", "harbour", "hill"], {"default": ["1", "2"]}, id="the stores of all groups"),
        pytest.param(["floor", "harbour", "auditors"], None, id="all stores"),
        pytest.param(["office", "harbour"], None, id="an operator acts on all"),
    ],
)
def test_groups_name_a_viewers_stores(plant, provider, groups, expected):
    plant.person("Root", "admin")
    set_up(plant, provider, STORES)
    provider.groups = groups
    come_back(plant, provider)
    first = person_named(plant, "Ana Silva").limits
    provider.groups = ["floor", "hill"]
    come_back(plant, provider)

    assert (expected, {"default": ["1"]}) == (first, person_named(plant, "Ana Silva").limits)


def test_a_viewer_whose_stores_no_group_names_is_refused(plant, provider):
    set_up(plant, provider, STORES)
    provider.groups = ["floor"]

    assert "no group that names the stores" in refused(plant, provider)
    assert [] == plant.access.people()


def test_tokens_rest_when_nobody_came_from_the_provider_for_a_week(plant, provider):
    browser, _ = come_back(plant, provider)
    assert "your tokens rest" in browser.get("/account").text
    secret = plant.access.make_token(person_named(plant, "Ana Silva").id, "x", ["read"], plant.now(), None)
    bearer = {"authorization": f"Bearer {secret}"}
    program = plant.browser()

    def asks():
        return program.get("/api/v1/connections", headers=bearer).status_code

    fresh = asks()
    plant.clock.sleep(7 * 86_400 + 1)
    rested = asks()
    come_back(plant, provider)

    assert (200, 401, 200) == (fresh, rested, asks())


def test_there_is_no_password_to_choose(plant, provider):
    browser, _ = come_back(plant, provider)

    answer = browser.press("/account/password", password=PASSWORD, again=PASSWORD)

    assert 422 == answer.status_code
    assert not person_named(plant, "Ana Silva").has_password


@pytest.mark.parametrize(
    "path", ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:x"]
)
def test_nobody_is_sent_elsewhere(plant, provider, path):
    assert "/" == come_back(plant, provider, path=path)[1].headers["location"]


# --- refused: who it is --------------------------------------------------------------------------


def refused(plant, provider, browser=None):
    browser, answer = come_back(plant, provider, browser)
    assert 403 == answer.status_code, answer.headers
    assert "tillbridge" not in browser.cookies
    return answer.text


WHO = {
    "in no group": (lambda p: setattr(p, "groups", ["else"]), "", "You are in no group"),
    "groups that are no list": (lambda p: setattr(p, "groups", {"admins": 1}), "", "You are in no group"),
    "of another domain": (
        lambda p: p.user.update(email="ana@else.example"),
        'email_domains = ["shop.example"]',
        "not of a domain",
    ),
    "without an e-mail": (
        lambda p: p.user.pop("email"),
        'email_domains = ["shop.example"]',
        "not of a domain",
    ),
    "an e-mail that a list vouches for": (
        lambda p: p.user.update(email_verified=[True]),
        'email_domains = ["shop.example"]',
        "does not vouch",
    ),
    "an e-mail that an object vouches for": (
        lambda p: p.user.update(email_verified={"value": True}),
        'email_domains = ["shop.example"]',
        "does not vouch",
    ),
    "an e-mail that nobody vouches for": (
        lambda p: p.user.update(email_verified=False),
        'email_domains = ["shop.example"]',
        "does not vouch",
    ),
}


@pytest.mark.parametrize(("change", "more", "sentence"), WHO.values(), ids=WHO)
def test_who_may_not_come_in_reads_one_sentence(plant, provider, change, more, sentence):
    set_up(plant, provider, more)
    change(provider)

    assert sentence in refused(plant, provider)
    assert [] == plant.access.people()
    assert "sign-in failed" == plant.access.entries(limit=1)[0].what


def test_whoever_is_shut_out_here_stays_out(plant, provider):
    plant.person("Root", "admin")
    come_back(plant, provider)
    person = person_named(plant, "Ana Silva")
    plant.access.change(person.id, role="operator", limits=None, active=False)

    assert "shut you out" in refused(plant, provider)


def test_whoever_has_left_the_group_is_out_everywhere(plant, provider):
    browser, _ = come_back(plant, provider)
    person = person_named(plant, "Ana Silva")
    secret = plant.access.make_token(person.id, "x", ["read"], plant.now(), None)
    provider.groups = []

    refused(plant, provider)

    assert "/login" in browser.get("/account").headers["location"]
    assert plant.access.token(secret, plant.now()) is None


# --- refused: the ID token -----------------------------------------------------------------------


def with_claims(**more):
    def change(provider):
        provider.claims = lambda claims: {
            name: value for name, value in {**claims, **more}.items() if value is not None
        }

    return change


def signed(sign):
    def change(provider):
        provider.signs = lambda claims: sign(provider, claims)

    return change


def with_public_key(provider, claims):
    """The public key as a shared secret: what a verifier takes that trusts the token's own `alg`."""
    public = shown(rsa_key("first"), "first", "RS256")["n"]
    return jwt.encode(claims, public, "HS256", headers={"kid": "first"})


TOKENS = {
    "unsigned": (signed(lambda _, claims: jwt.encode(claims, None, "none")), "not signed by"),
    "signed with the public key as a secret": (signed(with_public_key), "not signed by"),
    "signed by somebody else": (
        signed(lambda _, claims: jwt.encode(claims, rsa_key("evil"), "RS256", headers={"kid": "first"})),
        "does not hold",
    ),
    "by a key that is not shown": (
        signed(lambda _, claims: jwt.encode(claims, rsa_key("evil"), "RS256", headers={"kid": "evil"})),
        "does not show",
    ),
    "by a method that is not the key's": (
        signed(lambda _, claims: jwt.encode(claims, rsa_key("evil"), "RS256", headers={"kid": "second"})),
        "does not show",
    ),
    "that is no token": (signed(lambda *_: "abc"), "does not hold"),
    "of another issuer": (with_claims(iss="https://evil.example"), "does not hold"),
    "for another program": (with_claims(aud="else"), "does not hold"),
    "for another program as well": (with_claims(aud=[CLIENT, "else"]), "another program as well"),
    "that has run out": (with_claims(exp=1), "run out"),
    "that never runs out": (with_claims(exp=None), "does not hold"),
    "of tomorrow": (with_claims(iat=10**10), "not good yet"),
    "not good before tomorrow": (with_claims(nbf=10**10), "not good yet"),
    "with times that are none": (with_claims(exp=True), "cannot be read"),
    "of nobody": (with_claims(sub=None), "does not hold"),
    "of another sign-in": (with_claims(nonce="other"), "another sign-in"),
    "of no sign-in": (with_claims(nonce=None), "another sign-in"),
}


@pytest.mark.parametrize(("change", "sentence"), TOKENS.values(), ids=TOKENS)
def test_a_token_is_not_believed(plant, provider, change, sentence):
    change(provider)

    text = refused(plant, provider)

    assert sentence in text
    assert [] == plant.access.people()


def test_two_audiences_are_fine_when_we_are_the_one_it_was_made_for(plant, provider):
    with_claims(aud=[CLIENT, "else"], azp=CLIENT)(provider)

    assert 303 == come_back(plant, provider)[1].status_code


# --- refused: the way there and back -------------------------------------------------------------

BACK = {
    "another state": ({"state": "other"}, "begun elsewhere"),
    "no state": ({"state": None}, "begun elsewhere"),
    "another provider's answer": ({"iss": "https://evil.example"}, "Another identity provider"),
    "an answer of nobody": ({"iss": None}, "did not say who it is"),
    "no code": ({"code": None}, "sent no code"),
    "a code of somebody else": ({"code": "other"}, "refused the code (invalid_grant)"),
    "a refusal": ({"error": "access_denied", "code": None}, "(access_denied)"),
    "a refusal in hostile words": ({"error": "<script>alert(1)</script>", "code": None}, "(an error)"),
}


@pytest.mark.parametrize(("answers", "sentence"), BACK.values(), ids=BACK)
def test_an_answer_is_not_believed(plant, provider, answers, sentence):
    provider.answers = answers

    text = refused(plant, provider)

    assert sentence in text
    assert "<script>alert" not in text


def test_an_answer_opens_one_browser_once(plant, provider):
    browser = plant.browser()
    back = provider.visit(browser.get("/login/oidc").headers["location"])

    elsewhere = plant.browser().get(back)
    first, again = browser.get(back), browser.get(back)

    assert [403, 303, 403] == [each.status_code for each in (elsewhere, first, again)]


def test_an_attempt_that_took_too_long_is_none(plant, provider):
    browser = plant.browser()
    back = provider.visit(browser.get("/login/oidc").headers["location"])
    plant.clock.sleep(FLOW_SECONDS + 1)

    assert 403 == browser.get(back).status_code


def test_every_attempt_has_secrets_of_its_own_and_shows_none(plant, provider):
    asked = [
        parse_qs(urlsplit(plant.browser().get("/login/oidc").headers["location"]).query) for _ in range(2)
    ]

    for name in ("state", "nonce", "code_challenge"):
        assert asked[0][name] != asked[1][name]
    assert "code_verifier" not in asked[0]


def test_the_attempts_cookie_is_for_this_site_and_no_script(plant, provider):
    answer = plant.browser("https://localhost").get("/login/oidc")
    cookie = answer.headers["set-cookie"]

    assert cookie.startswith("__Host-tillbridge-oidc=")
    assert {"HttpOnly", "Secure", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))
    assert (
        "https://localhost/login/oidc/back"
        in parse_qs(urlsplit(answer.headers["location"]).query)["redirect_uri"]
    )


# --- refused: the provider -----------------------------------------------------------------------

DESCRIBED = {
    "goes by another name": ({"issuer": "https://evil.example"}, "another name"),
    "asks for codes in the clear": ({"token_endpoint": "http://login.example/token"}, "not https"),
    "shows keys elsewhere in the clear": ({"jwks_uri": "http://login.example/keys"}, "not https"),
    "sends people to a script": ({"authorization_endpoint": "javascript:alert(1)"}, "not https"),
    "says nothing of keys": ({"jwks_uri": None}, "incompletely"),
}


@pytest.mark.parametrize(("describes", "sentence"), DESCRIBED.values(), ids=DESCRIBED)
def test_a_provider_is_not_used(plant, provider, describes, sentence):
    provider.describes = describes

    answer = plant.browser().get("/login/oidc")

    assert 403 == answer.status_code
    assert sentence in answer.text


@pytest.mark.parametrize(
    ("address", "is_fine"),
    [
        pytest.param("https://8.8.4.4/token", True, id="elsewhere"),
        pytest.param("https://169.254.169.254/latest", False, id="a cloud's metadata"),
        pytest.param("https://127.0.0.1/token", False, id="this machine"),
        pytest.param("https://10.1.2.3/token", False, id="our own network"),
        pytest.param("https://[::ffff:10.1.2.3]/token", False, id="our own network in other letters"),
        pytest.param("https://user@8.8.4.4/token", False, id="with a user"),
    ],
)
def test_a_provider_outside_leads_nowhere_inside(address, is_fine):
    try:
        _check_address(address, "https://8.8.8.8")
    except SignInRefused:
        assert not is_fine
    else:
        assert is_fine


def test_a_provider_that_is_down_is_not_asked_again_at_once(plant, provider):
    provider.down = True
    first, again = (plant.browser().get("/login/oidc") for _ in range(2))
    count = len(provider.asked)
    provider.down = False
    plant.clock.sleep(11)

    assert [403, 403] == [first.status_code, again.status_code]
    assert "does not describe itself" in first.text
    assert 1 == count
    assert 303 == plant.browser().get("/login/oidc").status_code


def test_passwords_work_beside_it(plant, provider):
    plant.person("Bo", "viewer")
    provider.down = True
    answer = plant.browser().post("/login", data={"name": "Bo", "password": PASSWORD})

    assert 303 == answer.status_code


def test_it_needs_https_but_on_this_machine(tmp_path_factory):
    plant = Plant(tmp_path_factory.mktemp("home"), address="http://till.example.com")
    provider = Provider(plant.now)
    set_up(plant, provider)
    answer = plant.browser("http://till.example.com").get("/login/oidc")
    provider.close()
    plant.close()

    assert 403 == answer.status_code
    assert "needs https" in answer.text


def test_without_a_provider_there_is_no_such_page(plant):
    assert [404, 404] == [
        plant.browser().get(path).status_code for path in ("/login/oidc", "/login/oidc/back")
    ]


# --- settings ------------------------------------------------------------------------------------


def test_an_administrator_sees_and_checks_it(plant, provider):
    admin = plant.signed_in("admin")

    page, works = admin.get("/settings/sign-in").text, admin.press("/settings/sign-in/check").text
    provider.down = True
    broken = admin.press("/settings/sign-in/check").text

    assert "http://localhost/login/oidc/back" in page
    assert "office = operator" in page
    assert SECRET.partition("&")[0] not in page
    assert "The identity provider answers" in works
    assert "does not describe itself" in broken


WRONG = {
    "plain http": ('issuer = "http://login.example"\ndefault_role = "viewer"', "plain http"),
    "nobody may come in": ('issuer = "https://login.example"', "who may come in"),
    "a role that is none": ('issuer = "https://login.example"\nroles = { a = "root" }', "viewer"),
    "no openid": ('issuer = "https://login.example"\ndefault_role = "viewer"\nscopes = ["email"]', "openid"),
    "a domain with an @": (
        'issuer = "https://login.example"\ndefault_role = "viewer"\nemail_domains = ["@x.example"]',
        "domain",
    ),
}


@pytest.mark.parametrize(("text", "sentence"), WRONG.values(), ids=WRONG)
def test_a_mistake_in_its_settings_is_named(tmp_path, text, sentence):
    (tmp_path / "tillbridge.toml").write_text(f'[console.oidc]\nclient_id = "x"\n{text}\n')

    with pytest.raises(ConfigurationInvalid, match=sentence) as raised:
        load_console(tmp_path, {})

    assert all(path.startswith("console.oidc") for path, _ in raised.value.mistakes)


def test_settings_that_cannot_be_read_change_nobodys_way_in(plant, provider):
    come_back(plant, provider)
    (plant.folder / "tillbridge.toml").write_text("[console")

    assert 303 == come_back(plant, provider)[1].status_code
