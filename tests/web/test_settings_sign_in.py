"""Sign-in by an identity provider, as an administrator sets it: on the page, by API, tried before."""

import re
from html import unescape

import pytest
from oidc_provider import CLIENT, SECRET, Provider
from test_oidc import come_back, person_named
from test_settings import program
from web_console import CONFIG, Plant

from tillbridge.config import load_console

HERE = "/settings/sign-in"
API = "/api/v1/sign-in"
OWN_NETWORK = "\n[console]\nown_network = true\n"


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    made = Plant(tmp_path_factory.mktemp("home"))
    yield made
    made.close()


@pytest.fixture
def plant(shared):
    shared.begin_again()
    (shared.folder / "secrets.json").unlink(missing_ok=True)
    write(shared, OWN_NETWORK)
    return shared


@pytest.fixture
def admin(plant):
    return plant.signed_in("admin")


@pytest.fixture
def provider(plant):
    made = Provider(plant.now)
    yield made
    made.close()


def write(plant, more):
    (plant.folder / "tillbridge.toml").write_text(CONFIG + more)


def file_of(plant):
    return (plant.folder / "tillbridge.toml").read_text()


def oidc_of(plant):
    return load_console(plant.folder, plant.env).oidc


def sealed(plant):
    path = plant.folder / "secrets.json"
    return path.read_text().strip("{}\n") if path.exists() else ""


def form(provider=None, **other):
    return {
        "issuer": provider.issuer if provider else "https://login.example.com",
        "client_id": CLIENT,
        "client_secret": SECRET,
        "name": "Example",
        "claim": "groups",
        "scopes": "openid profile email",
        "roles": "admins = admin\r\noffice = operator\r\nfloor = viewer",
        "stores": "",
        "default_role": "",
        "email_domains": "",
        **other,
    }


def shown(page):
    """What the page's fields hold."""
    fields = dict(re.findall(r'<input class="form-control[^"]*" id="(\w+)"[^>]* value="([^"]*)"', page))
    return fields | {n: unescape(t) for n, t in re.findall(r'<textarea[^>]* id="(\w+)"[^>]*>([^<]*)<', page)}


# --- the page ------------------------------------------------------------------------------------


def test_what_is_saved_lets_people_in_at_once_and_the_secret_is_never_told(plant, admin, provider):
    answer = admin.press(HERE, **form(provider))

    assert f"{HERE}?said=settings" == answer.headers["location"]
    assert 303 == come_back(plant, provider)[1].status_code
    assert "operator" == person_named(plant, "Ana Silva").role
    page = admin.get(HERE).text
    assert "admins = admin\noffice = operator\nfloor = viewer" == shown(page)["roles"]
    assert "kept; type another to replace it" in page
    places = [page, file_of(plant), str(plant.access.entries(limit=50)), admin.get(API).text]
    assert [False] * 4 == [SECRET in unescape(each) for each in places]
    assert 'client_secret = { secret = "console.oidc.client_secret" }' in file_of(plant)


def test_what_was_written_by_hand_stays_where_it_stands(plant, admin, provider):
    by_hand = f'\n[console.oidc]  # ours\nissuer = "{provider.issuer}" # theirs\nclient_id = "x"\n'
    write(plant, f'{OWN_NETWORK}{by_hand}roles = {{ office = "viewer" }}\n')

    admin.press(HERE, **form(provider, roles="office = operator"))

    assert "[console.oidc]  # ours\n" in file_of(plant)
    assert '# theirs\nclient_id = "tillbridge"\nroles = { office = "operator" }\n' in file_of(plant)


def test_a_secret_stays_until_another_comes_or_it_is_taken_away(plant, admin, provider):
    admin.press(HERE, **form(provider))
    admin.press(HERE, **form(provider, client_secret="", name="Other"))
    kept = oidc_of(plant)
    admin.press(HERE, **form(provider, client_secret="another"))
    other = oidc_of(plant)
    admin.press(HERE, **form(provider, client_secret="", **{"client_secret.drop": "yes"}))

    assert (SECRET, "Other") == (kept.client_secret.get_secret_value(), kept.name)
    assert "another" == other.client_secret.get_secret_value()
    assert None is oidc_of(plant).client_secret


@pytest.mark.parametrize(
    "moved", [{"issuer": "https://login.example.org"}, {"client_id": "another"}], ids=str
)
def test_a_secret_goes_to_nobody_but_whom_it_was_entered_for(plant, admin, provider, moved):
    admin.press(HERE, **form(provider))
    api = program(plant, "admin", "admin")
    now = api.get(API).json()
    wished = {name: now[name] for name in ("issuer", "client_id", "roles", "seen")} | moved

    by_program, by_page = (
        api.put(API, json=wished),
        admin.press(HERE, **form(provider, client_secret="", **moved)),
    )
    kept = oidc_of(plant)
    anew = api.put(API, json=wished | {"client_secret": "of the other"})

    assert (422, 422, 200) == (by_program.status_code, by_page.status_code, anew.status_code)
    assert "client_secret" in by_program.text
    assert "Belongs to the issuer and the client id that it was entered for: enter it again" in by_page.text
    assert (provider.issuer, CLIENT) == (kept.issuer, kept.client_id)
    assert "of the other" == oidc_of(plant).client_secret.get_secret_value()


def test_it_is_turned_off_with_its_secret(plant, admin, provider):
    admin.press(HERE, **form(provider, stores="harbour = *"))

    answer = admin.press(f"{HERE}/off")

    assert 303 == answer.status_code
    assert (CONFIG + OWN_NETWORK).rstrip() == file_of(plant).rstrip()
    assert "" == sealed(plant)
    assert 404 == plant.browser().get("/login/oidc").status_code
    assert "sign-in turned off" == plant.access.entries(limit=1)[0].what


def test_turning_it_off_ends_what_the_provider_alone_vouched_for(plant, admin, provider):
    admin.press(HERE, **form(provider))
    browser, _ = come_back(plant, provider)
    (theirs,) = [each for each in plant.access.people() if each.subject]
    plant.access.make_token(theirs.id, "x", ["read"], plant.now(), None)
    before = browser.get("/account").status_code
    admin.press(f"{HERE}/off")

    assert (200, 303) == (before, browser.get("/account").status_code)
    assert ([], 200) == (plant.access.tokens(theirs.id), admin.get("/account").status_code)


def test_it_stays_on_where_no_administrator_has_a_password(plant, admin, provider):
    admin.press(HERE, **form(provider))
    come_back(plant, provider)
    (theirs,) = [each for each in plant.access.people() if each.subject]
    plant.access.change(theirs.id, role="admin", limits=None, active=True)
    for each in plant.access.people():
        if each.has_password:
            plant.access.change(each.id, role="viewer", limits=None, active=True)
    secret = plant.access.make_token(theirs.id, "x", ["admin"], plant.now(), None)
    answer = plant.browser().delete(API, headers={"authorization": f"Bearer {secret}"})

    assert (409, True) == (answer.status_code, "No administrator has a password" in answer.text)
    assert oidc_of(plant) is not None


def test_stores_of_viewers_follow_their_groups(plant, admin, provider):
    plant.person("Root", "admin")
    admin.press(HERE, **form(provider, stores="harbour = 2, default/3\r\nauditors = *"))
    provider.groups = ["floor", "harbour"]

    come_back(plant, provider)

    assert {"harbour": ("2", "default/3"), "auditors": ("*",)} == oidc_of(plant).stores
    assert {"default": ["2", "3"]} == person_named(plant, "Ana Silva").limits


INSIDE = "https://169.254.169.254/latest"
MISTAKES = {
    "an issuer in the clear": ({"issuer": "http://login.example.com"}, "plain http is accepted"),
    "an issuer that is no address": ({"issuer": "login"}, "must be an address"),
    "no client": ({"client_id": ""}, "Is missing."),
    "a client as long as a book": ({"client_id": "x" * 600}, "500 characters at most"),
    "a line without a role": ({"roles": "office"}, "One line each, with = between"),
    "a role that is none": ({"roles": "office = root"}, "must be"),
    "nobody may come in": ({"roles": ""}, "must say who may come in"),
    "no openid": ({"scopes": "email"}, "must hold &#34;openid&#34;"),
    "a domain that is none": ({"email_domains": "@shop"}, "must be a domain"),
    "a store of no connection": ({"stores": "harbour = nowhere/1"}, "no connection called nowhere"),
    "a default that is none": ({"default_role": "root"}, "must be"),
}


@pytest.mark.parametrize(("fields", "sentence"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_stands_at_its_field_and_nothing_is_saved(plant, admin, fields, sentence):
    before = file_of(plant)

    answer = admin.press(HERE, **form(**fields))

    assert (422, True) == (answer.status_code, "Nothing is saved yet" in answer.text)
    assert sentence.lower() in answer.text.lower()
    assert 'aria-invalid="true"' in answer.text or "default_role" in fields
    assert (before, "") == (file_of(plant), sealed(plant))


def test_what_was_typed_stays_on_the_page_but_for_the_secret(plant, admin):
    page = admin.press(HERE, **form(client_id='"><script>', roles="office = root")).text

    assert ("&#34;&gt;&lt;script&gt;", "office = root") == (shown(page)["client_id"], shown(page)["roles"])
    assert SECRET not in unescape(page)


def test_a_secret_that_was_typed_is_asked_for_again(plant, admin, provider):
    tried = admin.press(f"{HERE}/check", **form(provider)).text
    refused = admin.press(HERE, **form(roles="office = root")).text
    untyped = admin.press(f"{HERE}/check", **form(provider, client_secret="")).text

    told = "Type the secret again: it is not kept yet."
    assert [True, True, False] == [told in page for page in (tried, refused, untyped)]
    assert [False] * 2 == ["none: a public client" in page for page in (tried, refused)]


@pytest.mark.parametrize("path", [HERE, f"{HERE}/check"])
def test_an_issuer_that_leads_inside_is_not_asked(plant, admin, path):
    write(plant, "")

    answer = admin.press(path, **form(issuer=INSIDE))

    assert "own network" in answer.text
    assert CONFIG == file_of(plant)


def test_an_issuer_that_the_file_names_stays_whatever_it_is(plant, admin, provider):
    more = f'[console.oidc]\nissuer = "{provider.issuer}"\nclient_id = "x"\ndefault_role = "viewer"\n'
    write(plant, f"\n{more}")

    saved = admin.press(HERE, **form(provider))
    tried = admin.press(f"{HERE}/check", **form(provider))

    assert 303 == saved.status_code
    assert "The identity provider answers" in tried.text


def test_a_setting_from_the_environment_is_changed_there(plant, admin, provider):
    plant.env["ISSUER"] = provider.issuer
    more = '[console.oidc]\nissuer = { env = "ISSUER" }\nclient_id = "x"\ndefault_role = "viewer"\n'
    write(plant, f"{OWN_NETWORK}\n{more}")
    fields = {name: value for name, value in form(provider).items() if name != "issuer"}

    answer = admin.press(HERE, **fields)

    assert (303, True) == (answer.status_code, 'issuer = { env = "ISSUER" }' in file_of(plant))
    assert (provider.issuer, CLIENT) == (oidc_of(plant).issuer, oidc_of(plant).client_id)
    assert re.search(r'id="issuer"[^>]* disabled', admin.get(HERE).text)


def test_two_administrators_do_not_undo_each_other(plant, admin, provider):
    seen = re.search(r'name="seen" value="(\w+)"', admin.get(HERE).text)[1]
    admin.press(HERE, **form(provider), seen=seen)

    answer = admin.press(HERE, **form(provider, name="Mine"), seen=seen)

    assert (409, "Example") == (answer.status_code, oidc_of(plant).name)


def test_an_installation_that_holds_no_connection_itself_has_a_page_as_well(tmp_path):
    made = Plant(tmp_path, config="")
    (tmp_path / "tillbridge.toml").unlink()
    try:
        answer = made.signed_in("admin").press(HERE, **form(issuer="https://8.8.8.8/realm"))
        assert (303, "https://8.8.8.8/realm") == (answer.status_code, oidc_of(made).issuer)
        assert 0o600 == (tmp_path / "tillbridge.toml").stat().st_mode & 0o777
    finally:
        made.close()


# --- tried ---------------------------------------------------------------------------------------


def test_a_provider_is_tried_before_anything_is_kept(plant, admin, provider):
    provider.describes = {
        "scopes_supported": ["openid", "profile"],
        "claims_supported": ["sub", "groups"],
        "code_challenge_methods_supported": ["S256"],
    }

    page = admin.press(f"{HERE}/check", **form(provider)).text

    assert f"calls itself {provider.issuer}" in page
    told = re.sub(r"<[^>]+>", " ", re.search(r'<dl class="facts">(.*?)</dl>', page, re.DOTALL)[1]).split()
    assert ["127.0.0.1", "2", "email"] == [each for each in told if each in {"127.0.0.1", "2", "email"}]
    assert provider.issuer == shown(page)["issuer"], "what was typed stays"
    assert None is oidc_of(plant)
    assert {"works": True} == plant.access.entries(limit=1)[0].detail


BROKEN = {
    "it is down": (lambda p: setattr(p, "down", True), "does not describe itself (500)"),
    "it goes by another name": (
        lambda p: p.describes.update(issuer="https://login.example.com"),
        "goes by another name",
    ),
    "it leads inside": (
        lambda p: p.describes.update(token_endpoint="http://10.0.0.5/token"),
        "names an address that is not https",
    ),
    "it says too little": (lambda p: p.describes.update(jwks_uri=None), "describes itself incompletely"),
}


@pytest.mark.parametrize(("broken", "sentence"), BROKEN.values(), ids=BROKEN)
def test_what_is_wrong_with_a_provider_is_said(plant, admin, provider, broken, sentence):
    broken(provider)

    page = admin.press(f"{HERE}/check", **form(provider)).text

    assert sentence in page
    assert not plant.access.entries(limit=1)[0].detail["works"]


# --- by API --------------------------------------------------------------------------------------


def test_a_program_sets_it_tries_it_and_turns_it_off(plant, provider):
    api = program(plant, "admin", "admin")
    off = api.get(API).json()
    found = api.post(f"{API}/check", json={"issuer": provider.issuer}).json()
    wished = {"issuer": provider.issuer, "client_id": CLIENT, "client_secret": SECRET}
    wished |= {"roles": {"office": "operator"}, "stores": {"harbour": ["2"]}, "seen": off["seen"]}
    put = api.put(API, json=wished)
    late = api.put(API, json=wished)

    assert (False, "", False) == (off["is_on"], off["issuer"], off["has_secret"])
    assert (provider.issuer, 2) == (found["issuer"], found["keys"])
    assert (True, True, {"harbour": ["2"]}) == tuple(
        put.json()[name] for name in ("is_on", "has_secret", "stores")
    )
    assert (409, False) == (late.status_code, SECRET in put.text)
    assert 303 == come_back(plant, provider)[1].status_code
    assert [1, 0] == [api.delete(API).json()["count"] for _ in range(2)]
    assert None is oidc_of(plant)


@pytest.mark.parametrize(
    ("wished", "field"),
    [
        pytest.param({"issuer": INSIDE}, "issuer", id="an issuer that leads inside"),
        pytest.param({"roles": {}}, "roles", id="nobody may come in"),
        pytest.param({"stores": {"harbour": ["nowhere/1"]}}, "stores", id="a store of no connection"),
    ],
)
def test_a_program_is_told_which_field_will_not_do(plant, wished, field):
    write(plant, "")
    whole = {"issuer": "https://8.8.8.8", "client_id": "x", "roles": {"office": "operator"}, **wished}

    answer = program(plant, "admin", "admin").put(API, json=whole)

    assert (422, [field]) == (answer.status_code, [each["field"] for each in answer.json()["mistakes"]])
    assert CONFIG == file_of(plant)


@pytest.mark.parametrize(("role", "scope"), [("operator", "admin"), ("admin", "write")])
def test_nobody_else_looks_at_it(plant, role, scope):
    api = program(plant, role, scope)

    assert {403} == {
        api.get(API).status_code,
        api.put(API, json={}).status_code,
        api.delete(API).status_code,
        api.post(f"{API}/check", json={}).status_code,
    }
