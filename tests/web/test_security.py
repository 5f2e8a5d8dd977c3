"""Passwords, sessions, links, tokens, what every answer carries, and what no request may do."""

import re

import pytest
from web_console import PASSWORD as RIGHT
from web_console import Plant

from tillbridge.web.pages.entrance import FIRST, PASSWORD, SIGN_IN
from tillbridge.web.security.guard import BODY_BYTES_MAX
from tillbridge.web.security.paths import inside
from tillbridge.web.security.sessions import IDLE_SECONDS, LAST_SECONDS, WINDOW_SECONDS

SAME = {"sec-fetch-site": "same-origin"}


def sign_in(browser, name, password=RIGHT, **more):
    return browser.post("/login", data={"name": name, "password": password, **more}, headers=SAME)


# --- signing in ----------------------------------------------------------------------------------


def test_somebody_signs_in_and_is_brought_where_they_wanted(plant):
    plant.person("Ana", "viewer")
    browser = plant.browser()

    asked = browser.get("/account?x=1").headers["location"]
    answer = sign_in(browser, "ana", next="/account?x=1")

    assert "/login?next=/account%3Fx%3D1" == asked
    assert (303, "/account?x=1") == (answer.status_code, answer.headers["location"])
    assert "Ana" in browser.get("/account").text


@pytest.mark.parametrize(
    ("name", "password"), [("ana", "wrong password"), ("nobody", RIGHT), ("", ""), ("ana", "x" * 100_000)]
)
def test_a_wrong_name_and_a_wrong_password_look_the_same(plant, name, password):
    plant.person("Ana", "viewer")

    answer = sign_in(plant.browser(), name, password)

    assert 401 == answer.status_code
    assert "No such name and password" in answer.text
    assert "set-cookie" not in answer.headers


def test_after_five_failures_even_the_right_password_has_to_wait(plant):
    plant.person("Ana", "viewer")
    browser = plant.browser()

    statuses = [sign_in(browser, "ana", "wrong password").status_code for _ in range(5)]
    locked = sign_in(browser, "ana")
    plant.clock.sleep(WINDOW_SECONDS + 1)
    again = sign_in(browser, "ana")

    assert [401] * 5 == statuses
    assert 429 == locked.status_code
    assert 0 < int(locked.headers["retry-after"]) <= WINDOW_SECONDS
    assert 303 == again.status_code


def test_a_lock_out_of_one_leaves_others_alone(plant):
    plant.person("Ana", "viewer")
    plant.person("Bo", "viewer")
    for _ in range(6):
        sign_in(plant.browser(), "ana", "wrong password")

    assert 303 == sign_in(plant.browser(), "bo").status_code


def test_guessing_many_names_from_one_place_is_stopped(plant):
    statuses = {sign_in(plant.browser(), f"name {n}", "wrong password").status_code for n in range(25)}

    assert {401, 429} == statuses


def test_ones_own_account_opens_no_way_to_guess_at_others(plant):
    plant.person("Ana", "viewer")
    guessed = [sign_in(plant.browser(), f"name {n}", "wrong password").status_code for n in range(19)]
    own = [sign_in(plant.browser(), "ana").status_code for _ in range(2)]

    assert ([401] * 19, [303, 303]) == (guessed, own)
    assert 401 == sign_in(plant.browser(), "name 19", "wrong password").status_code
    assert 429 == sign_in(plant.browser(), "name 20", "wrong password").status_code


def test_whoever_is_shut_out_is_out_at_once(plant):
    plant.signed_in("admin")
    person = plant.person("Ana", "viewer")
    plant.access.set_password(plant.access.named("admin")[0].id, "hash")
    browser = plant.browser()
    sign_in(browser, "ana")

    plant.access.change(person.id, role="viewer", limits=None, active=False)

    assert "/login?next=/account" == browser.get("/account").headers["location"]
    assert 401 == sign_in(browser, "ana").status_code


# --- sessions ------------------------------------------------------------------------------------


def test_the_cookie_is_for_this_site_and_no_script(plant):
    plant.person("Ana", "viewer")

    plain = sign_in(plant.browser(), "ana").headers["set-cookie"]
    secure = sign_in(plant.browser("https://localhost"), "ana").headers["set-cookie"]

    assert plain.startswith("tillbridge=")
    assert {"HttpOnly", "Path=/", "SameSite=lax"} <= set(plain.split("; "))
    assert secure.startswith("__Host-tillbridge=")
    assert {"HttpOnly", "Path=/", "SameSite=lax", "Secure"} <= set(secure.split("; "))


def test_signing_in_changes_the_secret(plant):
    plant.person("Ana", "viewer")
    browser = plant.browser()
    sign_in(browser, "ana")
    before = browser.cookies["tillbridge"]

    browser.press("/login", name="ana", password=RIGHT)

    assert before != browser.cookies["tillbridge"]
    assert plant.access.session(before) is None


def test_a_secret_that_somebody_planted_is_not_taken_over(plant):
    plant.person("Ana", "viewer")
    browser = plant.browser()
    browser.cookies.set("tillbridge", "planted", domain="localhost.local")

    answer = sign_in(browser, "ana")

    assert "planted" not in answer.headers["set-cookie"]


@pytest.mark.parametrize(
    ("wait", "present"),
    [
        pytest.param(IDLE_SECONDS - 1, True, id="a long lunch"),
        pytest.param(IDLE_SECONDS + 1, False, id="nobody looked for a night"),
        pytest.param(LAST_SECONDS + 1, False, id="a week"),
    ],
)
def test_a_session_ends_when_nobody_looks(plant, wait, present):
    browser = plant.signed_in("viewer")

    plant.clock.sleep(wait if wait < 86_400 else LAST_SECONDS + 1)

    assert present == (browser.get("/account").status_code == 200)


def test_signing_out_ends_the_session_for_a_copied_cookie_too(plant):
    browser = plant.signed_in("viewer")
    copied = browser.cookies["tillbridge"]

    browser.press("/logout")

    assert plant.access.session(copied) is None


def test_a_change_of_rights_ends_all_sessions_of_whoever_it_is(plant):
    admin, other = plant.signed_in("admin"), plant.signed_in("operator")
    plant.access.set_password(plant.access.named("admin")[0].id, "hash", rehashed=True)
    number = plant.access.named("operator")[0].id

    admin.press(f"/settings/people/{number}", role="viewer", active="yes")

    assert 303 == other.get("/account").status_code
    assert "viewer" == plant.access.person(number).role


def test_a_new_password_signs_all_others_out_and_this_one_in_anew(plant):
    plant.person("Ana", "viewer")
    here, there = plant.browser(), plant.browser()
    sign_in(here, "ana")
    sign_in(there, "ana")
    before = here.cookies["tillbridge"]

    answer = here.press(
        "/account/password", present=RIGHT, password="quiet lamp over rivers", again="quiet lamp over rivers"
    )

    assert 303 == answer.status_code
    assert before != here.cookies["tillbridge"]
    assert (200, 303) == (here.get("/account").status_code, there.get("/account").status_code)
    assert 303 == sign_in(there, "ana", "quiet lamp over rivers").status_code


@pytest.mark.parametrize("password", ["short", "aaaaaaaaaaaaaaaa", "x" * 300])
def test_a_weak_password_is_refused(plant, password):
    plant.person("Ana", "viewer")
    browser = plant.browser()
    sign_in(browser, "ana")

    answer = browser.press("/account/password", present=RIGHT, password=password, again=password)

    assert 422 == answer.status_code
    assert 303 == sign_in(plant.browser(), "ana").status_code


def test_one_browser_can_be_signed_out_from_another(plant):
    plant.person("Ana", "viewer")
    here, there = plant.browser(), plant.browser()
    sign_in(here, "ana")
    sign_in(there, "ana")
    other = plant.access.session(there.cookies["tillbridge"])[0].hash

    here.press("/account/sessions/end", session=other)

    assert (200, 303) == (here.get("/account").status_code, there.get("/account").status_code)


def test_nobody_ends_somebody_elses_session(plant):
    admin, viewer = plant.signed_in("admin"), plant.signed_in("viewer")
    other = plant.access.session(admin.cookies["tillbridge"])[0].hash

    answer = viewer.press("/account/sessions/end", session=other)

    assert (404, 200) == (answer.status_code, admin.get("/account").status_code)


# --- one-time links ------------------------------------------------------------------------------


def fill(browser, link, **fields):
    return browser.post(f"/enter/{link}", data=fields, headers=SAME)


def test_the_first_one_becomes_administrator_by_a_link_that_works_once(plant):
    link = plant.access.make_link(FIRST, None, plant.now() + 60)
    browser = plant.browser()
    fields = {"name": "Ana", "password": RIGHT, "again": RIGHT}

    looked = [browser.get(f"/enter/{link}").status_code for _ in range(2)]
    answer = fill(browser, link, **fields)
    again = fill(plant.browser(), link, **{**fields, "name": "Eve"})

    assert ([200, 200], 303, 404) == (looked, answer.status_code, again.status_code)
    assert 200 == browser.get("/settings/people").status_code
    assert ["Ana"] == [person.name for person in plant.access.people()]


def test_a_first_link_is_void_once_there_is_an_administrator(plant):
    link = plant.access.make_link(FIRST, None, plant.now() + 60)
    plant.person("Ana", "admin")

    assert 404 == plant.browser().get(f"/enter/{link}").status_code


@pytest.mark.parametrize("link", ["", "no-such-link", "%2e%2e"])
def test_an_invented_link_opens_nothing(plant, link):
    assert 404 == plant.browser().get(f"/enter/{link}").status_code


def test_a_link_runs_out(plant):
    link = plant.access.make_link(FIRST, None, plant.now() + 60)
    plant.clock.sleep(61)

    assert 404 == plant.browser().get(f"/enter/{link}").status_code


def test_a_newer_link_voids_the_older(plant):
    older = plant.access.make_link(FIRST, None, plant.now() + 60)
    newer = plant.access.make_link(FIRST, None, plant.now() + 60)
    browser = plant.browser()

    assert (404, 200) == (
        browser.get(f"/enter/{older}").status_code,
        browser.get(f"/enter/{newer}").status_code,
    )


def test_an_invited_one_chooses_a_password(plant):
    admin = plant.signed_in("admin")

    page = admin.press("/settings/people", name="Bo Lind", role="operator")
    link = re.search(r"/enter/([\w-]+)", page.text)[1]
    browser = plant.browser()
    fill(browser, link, password=RIGHT, again=RIGHT)

    assert "Bo Lind" in browser.get("/account").text
    assert 403 == browser.get("/settings/people").status_code


def test_a_link_for_a_password_signs_the_old_browsers_out(plant):
    person = plant.person("Ana", "viewer")
    browser = plant.browser()
    sign_in(browser, "ana")
    link = plant.access.make_link(PASSWORD, person.id, plant.now() + 60)

    fill(plant.browser(), link, password="quiet lamp over rivers", again="quiet lamp over rivers")

    assert 303 == browser.get("/account").status_code


def test_a_sign_in_link_signs_in_as_whom_it_is_for(plant):
    person = plant.access.add("demo", "admin", plant.now())
    link = plant.access.make_link(SIGN_IN, person.id, plant.now() + 60)
    browser = plant.browser()

    fill(browser, link)

    assert "demo" in browser.get("/account").text


def test_the_last_administrator_stays_one(plant):
    admin = plant.signed_in("admin")
    number = plant.access.named("admin")[0].id

    answers = [
        admin.press(f"/settings/people/{number}", role="viewer", active="yes"),
        admin.press(f"/settings/people/{number}", role="admin", active=""),
    ]

    assert [422, 422] == [answer.status_code for answer in answers]
    assert ("admin", True) == (plant.access.person(number).role, plant.access.person(number).active)


def test_others_can_be_shut_out_while_the_only_administrator_has_no_password(plant):
    plant.access.add("Came by a link", "admin", plant.now())
    other = plant.person("Olaf", "operator")

    assert plant.access.change(other.id, role="viewer", limits=None, active=False)
    assert not plant.access.change(
        plant.access.named("Came by a link")[0].id, role="viewer", limits=None, active=True
    )


# --- tokens --------------------------------------------------------------------------------------


def test_a_token_is_shown_once_and_kept_as_a_hash(plant):
    browser = plant.signed_in("operator")

    page = browser.press("/account/tokens", name="till report", scope="read", days="30")
    secret = re.search(r'value="(tb_[\w-]+)"', page.text)[1]

    assert plant.access.token(secret, plant.now()) is not None
    assert secret not in browser.get("/account").text
    assert secret.encode() not in (plant.folder / "service.sqlite").read_bytes()


def test_a_token_can_do_no_more_than_whoever_made_it(plant):
    viewer = plant.signed_in("viewer")

    assert 422 == viewer.press("/account/tokens", name="x", scope="admin", days="30").status_code


def test_a_token_opens_no_page(plant):
    person = plant.person("Ana", "admin")
    secret = plant.access.make_token(person.id, "x", ["admin"], plant.now(), None)

    answer = plant.browser().get("/account", headers={"authorization": f"Bearer {secret}"})

    assert 303 == answer.status_code


# --- what a request may not do -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "headers", "allowed"),
    [
        pytest.param("GET", {"sec-fetch-site": "none"}, True, id="somebody types the address"),
        pytest.param(
            "GET",
            {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"},
            True,
            id="somebody follows a link in a mail",
        ),
        pytest.param(
            "GET",
            {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"},
            False,
            id="another site frames us",
        ),
        pytest.param(
            "GET",
            {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"},
            False,
            id="another site loads us as a picture",
        ),
        pytest.param(
            "POST",
            {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"},
            False,
            id="another site sends our form",
        ),
        pytest.param("POST", {"sec-fetch-site": "same-site"}, False, id="a sister domain sends our form"),
        pytest.param("POST", {"origin": "https://evil.example"}, False, id="an old browser on another site"),
        pytest.param("POST", {"origin": "null"}, False, id="a sandboxed frame"),
        pytest.param("POST", {"origin": "http://localhost"}, True, id="an old browser on our page"),
    ],
)
def test_another_site_cannot_make_a_browser_ask(plant, method, headers, allowed):
    answer = plant.browser().request(method, "/login", headers=headers)

    assert allowed == (answer.status_code != 403)


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("localhost:8642", True),
        ("127.0.0.1:8642", True),
        ("[::1]:8642", True),
        ("192.168.1.20", True),
        ("till.example.com", True),
        ("evil.example", False),
        ("", False),
    ],
)
def test_a_name_that_is_not_ours_leads_nowhere(tmp_path, host, known):
    plant = Plant(tmp_path, address="https://till.example.com")

    answers = [plant.browser().get(path, headers={"host": host}) for path in ("/login", "/healthz")]
    plant.close()

    assert [200 if known else 421, 200] == [answer.status_code for answer in answers]


def test_a_body_is_bounded_whatever_it_says_of_itself(plant):
    def endless():
        for _ in range(BODY_BYTES_MAX // 65_536 + 2):
            yield b"x" * 65_536

    browser = plant.browser()
    kind = {"content-type": "application/x-www-form-urlencoded"}
    told = browser.post("/login", content=b"x" * (BODY_BYTES_MAX + 1), headers=kind)
    untold = browser.post("/login", content=endless(), headers=kind)

    assert [413, 413] == [told.status_code, untold.status_code]


@pytest.mark.parametrize(
    ("wanted", "path"),
    [
        ("/account", "/account"),
        ("/c/default/sales?day=2026-11-20&page=2", "/c/default/sales?day=2026-11-20&page=2"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/a\\..\\b", "/"),
        ("https://evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/\tevil", "/"),
        ("/\n/evil.example", "/"),
        ("account", "/"),
        ("", "/"),
        (None, "/"),
        ("/" + "a" * 2_000, "/"),
    ],
)
def test_somebody_is_sent_inside_only(wanted, path):
    assert path == inside(wanted)


def test_the_sign_in_redirects_nowhere_else(plant):
    plant.person("Ana", "viewer")

    answer = sign_in(plant.browser(), "ana", next="//evil.example/x")

    assert "/" == answer.headers["location"]


# --- what every answer carries -------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/login", "/account", "/nothing-here", "/healthz", "/enter/x"])
def test_every_answer_forbids_what_no_page_needs(plant, path):
    headers = plant.browser().get(path).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))

    assert ("'none'", "'self'", "'self'") == (
        policy["default-src"],
        policy["script-src"],
        policy["style-src"],
    )
    assert ("'none'", "'none'", "'self'") == (
        policy["frame-ancestors"],
        policy["base-uri"],
        policy["form-action"],
    )
    assert "unsafe" not in headers["content-security-policy"]
    assert ("nosniff", "DENY") == (headers["x-content-type-options"], headers["x-frame-options"])
    assert "no-store" == headers["cache-control"]
    assert "server" not in headers


def test_transport_security_is_promised_behind_tls_only(plant, tmp_path_factory):
    behind = Plant(tmp_path_factory.mktemp("home"), address="https://till.example.com")
    answers = [
        plant.browser().get("/login"),
        plant.browser("https://localhost").get("/login"),
        behind.browser("http://till.example.com").get("/login"),
    ]
    behind.close()

    assert [False, True, True] == ["strict-transport-security" in answer.headers for answer in answers]


def test_no_page_has_a_script_or_style_of_its_own(plant):
    """The policy would not let them run; a page that relies on one is broken."""
    admin = plant.signed_in("admin")
    for path in (
        "/login",
        "/account",
        "/settings/people",
        "/settings/tokens",
        "/settings/audit",
        "/c/default",
    ):
        text = admin.get(path).text
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:", text), path


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "O'Neil & {{7*7}}", "\u202eevil"]
)
def test_a_hostile_name_is_shown_as_it_is_written(plant, name):
    from markupsafe import escape

    admin = plant.signed_in("admin")
    admin.press("/settings/people", name=name, role="viewer")

    text = admin.get("/settings/people").text

    assert str(escape(name)) in text
    assert "<img src=x" not in text
    assert "alert(1)</script>" not in text
    assert "49" not in text.partition("O&#39;Neil")[2][:20]


# --- the audit log -------------------------------------------------------------------------------


def test_the_newest_hash_is_shown_to_be_noted_down(plant):
    for n in range(60):
        plant.access.note("ana", "pressed", str(n), plant.now())
    admin, newest = plant.signed_in("admin"), plant.access.entries(limit=1)[0].hash

    assert newest in admin.get("/settings/audit").text
    assert newest not in admin.get("/settings/audit?before=5").text


def test_what_is_done_is_written_down_and_names_no_secret(plant):
    plant.person("Ana", "admin")
    browser = plant.browser()
    sign_in(browser, "ana", "wrong password")
    sign_in(browser, "ana")
    browser.press("/settings/people", name="Bo", role="viewer", limits="001")
    browser.press("/account/tokens", name="report", scope="read", days="30")
    browser.press("/logout")

    entries = plant.access.entries(limit=20)
    text = str(entries)

    assert ["signed out", "token made", "user added", "signed in", "sign-in failed"] == [
        e.what for e in entries
    ]
    assert "wrong password" not in text
    assert RIGHT not in text
    assert "tb_" not in text


TAMPERING = {
    "a line is changed": ("UPDATE console_audit SET who = 'somebody else' WHERE number = 2", 2),
    "a line is taken out": ("DELETE FROM console_audit WHERE number = 2", 2),
    "the first line is taken out": ("DELETE FROM console_audit WHERE number = 1", 1),
    "a time is changed": ("UPDATE console_audit SET at = at - 60 WHERE number = 3", 3),
    "a detail is changed": ("UPDATE console_audit SET detail = '{}' WHERE number = 3", 3),
    "two lines change places": (
        "UPDATE console_audit SET number = CASE number WHEN 2 THEN -3 ELSE -2 END WHERE number IN (2, 3)",
        1,
    ),
}


@pytest.mark.parametrize(("statement", "number"), TAMPERING.values(), ids=TAMPERING)
def test_tampering_with_the_audit_log_is_found(plant, statement, number):
    import sqlalchemy as sa

    for n in range(4):
        plant.access.note("ana", "pressed", str(n), plant.now(), {"n": n})
    whole = plant.access.verify()
    with plant.service.begin() as c:
        c.execute(sa.text(statement))
        c.execute(sa.text("UPDATE console_audit SET number = -number WHERE number < 0"))
    count, _, broken = plant.access.verify()

    assert (4, None) == (whole[0], whole[2])
    assert broken is not None
    assert count == broken.number - 1
    assert number in {broken.number, 1} or broken.number == 2


def test_lines_cut_off_at_the_end_are_found_by_a_hash_that_was_written_down(plant):
    import sqlalchemy as sa

    for n in range(4):
        plant.access.note("ana", "pressed", str(n), plant.now())
    _, newest, _ = plant.access.verify()
    with plant.service.begin() as c:
        c.execute(sa.text("DELETE FROM console_audit WHERE number = 4"))

    assert plant.access.verify()[2] is None
    assert plant.access.verify(newest)[2] is not None


# --- assets --------------------------------------------------------------------------------------


def test_assets_are_kept_for_ever_and_checked_by_the_browser(plant):
    browser = plant.browser()
    text = browser.get("/login").text
    found = re.findall(r'(?:src|href)="(/assets/[^"]+)" integrity="(sha384-[^"]+)"', text)

    assert 4 <= len(found)
    for address, _ in found:
        answer = browser.get(address)
        assert 200 == answer.status_code
        assert "public, max-age=31536000, immutable" == answer.headers["cache-control"]


@pytest.mark.parametrize(
    "name", ["../app.py", "..%2fapp.py", "vendor/../../app.py", "vendor/HASHES", "nothing.css", ""]
)
def test_nothing_else_is_served(plant, name):
    from tillbridge.web.assets import edition

    assert plant.browser().get(f"/assets/{edition()}/{name}").status_code in {404, 307}


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_a_page_asks_for_without_a_session_leads_the_browser_to_the_sign_in(plant, method):
    browser = plant.browser()
    answer = browser.request(method, "/c/default/conflicts", headers={"hx-request": "true"})

    assert (401, "/login") == (answer.status_code, answer.headers["hx-redirect"])


def test_a_connection_that_is_not_set_up_yet_has_no_page(tmp_path):
    plant = Plant(tmp_path)
    (tmp_path / "tillbridge.toml").unlink()
    try:
        browser = plant.signed_in("admin")
        assert [404, 404] == [browser.get(f"/c/{name}").status_code for name in ("default", "nope")]
    finally:
        plant.close()
