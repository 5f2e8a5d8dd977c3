"""Pages and verbs about people and problems, asked over HTTP: what they show, do, write down and refuse."""

import re
import threading
from contextlib import ExitStack
from html import unescape
from types import SimpleNamespace

import pytest
from test_api import HERE, Office
from web_console import Browser

from tillbridge.engine.fates import fate

PAGES = "/c/default"


class Desk(Office):
    """The office with Salesforce's own people, and a browser for each role."""

    def __init__(self, folder, stack):
        super().__init__(folder, stack)
        world = self.world
        self.carla = world.person("Carla", "Quist", email="carla@quist.example")
        self.otto = world.person("Otto", "Kramer", email="anna@prins.example")
        self.anna = world.customer("Anna", "<b>Prins</b>", email="anna@prins.example")
        world.ring(self.ring, customer=self.anna)
        world.pass_time(minutes=5)
        world.sync()

    def browser(self, role, limits=None):
        """A browser of somebody with a role, signed in."""
        name = f"browser {role}{' of some stores' if limits else ''}"
        now = self.world.clock.now().timestamp()
        known = self.access.named(name)
        person = (
            known[0] if known else self.access.add(name, role, now, password="no password", limits=limits)
        )
        secret = self.access.sign_in(person.id, now, now + 86_400, agent="test", address="")
        browser = Browser(self.app, base_url="http://localhost", follow_redirects=False)
        browser.cookies.set("tillbridge", secret, domain="localhost.local")
        return browser

    def noted(self):
        """Return what the audit log says was done, the newest first."""
        return [entry.what for entry in self.access.entries(limit=50)]

    def problem_of(self, till_id):
        api = self.client()
        rows = api.get(f"{HERE}/problems").json()["rows"]
        return next(row["id"] for row in rows if row["till_id"] == str(till_id))


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    with ExitStack() as stack:
        yield Desk(tmp_path_factory.mktemp("desk"), stack)


@pytest.fixture
def presses(desk):
    return desk.browser("operator")


def test_whoever_is_in_salesforce_alone_is_offered_to_the_till(desk, presses):
    shown = presses.get(f"{PAGES}/customers?q=quist").text

    assert f'value="{desk.carla}" formaction="{PAGES}/customers/enter"' in shown
    assert f'name="who" value="{desk.carla}"' not in shown
    (row,) = desk.client().get(f"{HERE}/customers", params={"q": "quist"}).json()["rows"]
    assert row["entry"]["possible"] is True


def test_whoever_may_not_enter_the_till_is_told_why(tmp_path_factory):
    with ExitStack() as stack:
        desk = Desk(tmp_path_factory.mktemp("one way"), stack)
        desk.world.configure(customers='mode = "till_to_crm"')
        shown = desk.browser("operator").get(f"{PAGES}/customers?q=quist").text

    assert "Customers do not flow into Lightspeed here (mode till to crm)." in shown
    assert "Send to Lightspeed" not in shown


@pytest.mark.parametrize(
    ("sentence", "path", "fields", "words"),
    [
        ("nobody is ticked", "customers/sync", {}, "Nobody is ticked"),
        (
            "a person of Salesforce is no customer",
            "customers/sync",
            {"who": "001Wt0000000001IAA"},
            "Only customers",
        ),
        ("an id has 18 letters", "customers/enter", {"person": "12"}, "18 letters"),
        ("a verb needs a problem", "problems/bulk", {"verb": "retry"}, "No problem is ticked"),
        ("whoever ignores says why", "problems/bulk", {"verb": "ignore", "number": "1"}, "Say why"),
        ("a note is no blank", "problems/bulk", {"verb": "note", "number": "1", "text": " "}, "empty"),
        (
            "a user has to be there",
            "problems/bulk",
            {"verb": "assign", "number": "1", "assignee": "X"},
            "no user called X",
        ),
        ("somebody new is ticked before", "reviews/new", {}, "Tick between"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(presses, sentence, path, fields, words):
    answer = presses.press(f"{PAGES}/{path}", **fields)

    assert 422 == answer.status_code, sentence
    assert words in answer.text


def test_problems_are_noted_assigned_and_ignored_with_who_and_when(desk, presses):
    number = desk.problem_of(desk.dora)
    for fields in (
        {"verb": "note", "text": "asked <script>alert(1)</script>"},
        {"verb": "assign", "assignee": "browser operator"},
        {"verb": "ignore", "text": "known to the shop"},
    ):
        assert 303 == presses.press(f"{PAGES}/problems/bulk", number=number, **fields).status_code
    shown = presses.get(f"{PAGES}/problems/{number}").text
    told = desk.client().get(f"{HERE}/problems/{number}").json()

    assert "asked &lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert ("ignored", "browser operator", "known to the shop") == (
        told["problem"]["state"],
        told["problem"]["assignee"],
        told["problem"]["note"],
    )
    assert ["note", "assigned", "ignored"] == [each["what"] for each in told["remarks"]][-3:]
    assert {"browser operator"} == {each["by"] for each in told["remarks"][-3:]}
    assert {"problems noted", "problems assigned", "problems ignored"} <= set(desk.noted())
    presses.press(f"{PAGES}/problems/retry", number=number)


def test_the_api_notes_and_assigns_too(desk):
    api, number = desk.client(), desk.problem_of(desk.dora)

    assert {"count": 1} == api.post(f"{HERE}/problems/note", json={"ids": [number], "text": "so"}).json()
    assert 422 == api.post(f"{HERE}/problems/assign", json={"ids": [number], "user": "nobody"}).status_code
    assert {"count": 1} == api.post(f"{HERE}/problems/assign", json={"ids": [number]}).json()


def test_a_review_shows_both_sides_escaped_with_what_is_the_same(desk, presses):
    shown = presses.get(f"{PAGES}/reviews").text

    assert "Anna &lt;b&gt;Prins&lt;/b&gt;" in shown
    assert "<b>Prins</b>" not in shown
    (review,) = desk.client().get(f"{HERE}/reviews").json()["rows"]
    assert (["emails"], ["name"]) == (review["candidates"][0]["same"], review["candidates"][0]["differs"])


def test_a_customer_is_taken_apart_over_the_api_and_the_same_is_chosen_again(desk, presses):
    api = desk.client()
    crm_id = desk.world.known("customer", desk.ada).crm_id
    done = api.post(f"{HERE}/customers/{desk.ada}/unlink", json={}).json()
    assert (crm_id, 1) == (done["crm_id"], done["receipts"])
    assert 422 == api.post(f"{HERE}/customers/{desk.ada}/unlink", json={}).status_code
    refused, was_done = desk.access.entries(limit=2)
    assert ("customer unlinked", {"customer": str(desk.ada)}) == (was_done.what, was_done.detail)
    assert "linked to nobody" in refused.detail["refused"]
    shown = api.get(f"{HERE}/customers/{desk.ada}").json()
    assert ("review", []) == (shown["state"], shown["fields"])
    stranger = api.post(f"{HERE}/reviews/{desk.ada}/choose", json={"choice": desk.carla})
    assert (422, True) == (stranger.status_code, "was found to be like" in stranger.json()["detail"])
    assert 422 == presses.press(f"{PAGES}/reviews", who=str(desk.ada), choice=desk.carla).status_code
    back = api.post(f"{HERE}/reviews/{desk.ada}/choose", json={"choice": crm_id}).json()
    assert ("settled", crm_id) == (back["state"], back["crm_id"])


def test_what_was_refused_is_written_down_as_refused(desk, presses):
    api, number = desk.client(), desk.problem_of(desk.dora)
    answers = {
        "match chosen": presses.press(f"{PAGES}/reviews", who=str(desk.dora), choice="new"),
        "conflict decided": presses.press(f"{PAGES}/conflicts", number="77", winner="till"),
        "plan approved": presses.press(f"{PAGES}/plans/77/approve", checksum="x"),
        "plan dropped": api.post(f"{HERE}/plans/77/drop", json={}),
        "problem edited": api.post(f"{HERE}/problems/{number}/edit", json={"fields": {"No": "Novák"}}),
    }
    lines = {each.what: each.detail.get("refused") for each in desk.access.entries(limit=len(answers))}

    assert {True} == {400 <= each.status_code < 500 for each in answers.values()}, answers
    assert set(answers) == {what for what, why in lines.items() if why}
    assert "Novák" not in str(desk.access.entries(limit=1))


@pytest.mark.parametrize("limits", ["High Street", ",", "1, 77", "default/"])
def test_a_store_that_is_not_there_limits_nobody(desk, limits):
    admin = desk.browser("admin")
    before = len(desk.access.people())
    answer = admin.press("/settings/people", name="Vic", role="viewer", limits=limits)
    sent = {"headers": {"x-csrf-token": admin.csrf, "sec-fetch-site": "same-origin"}}
    codes = {"default": [limits]}
    body = {"name": "Vic", "role": "viewer", "limits": codes}

    assert [422, 422] == [answer.status_code, admin.post("/api/v1/users", json=body, **sent).status_code]
    assert before == len(desk.access.people())


def test_somebody_else_is_chosen_when_it_is_said_so(tmp_path_factory):
    with ExitStack() as stack:
        desk = Desk(tmp_path_factory.mktemp("other"), stack)
        api, anna = desk.client(), f"{HERE}/reviews/{desk.anna}/choose"
        assert 422 == api.post(anna, json={"choice": desk.carla}).status_code

        done = api.post(anna, json={"choice": desk.carla, "other": True}).json()
        (line,) = desk.access.entries(limit=1)

    assert ("settled", desk.carla) == (done["state"], done["crm_id"])
    assert {"customer": str(desk.anna), "choice": desk.carla, "other": True} == line.detail


def test_an_administrator_alone_erases_and_types_the_name(tmp_path_factory):
    with ExitStack() as stack:
        desk = Desk(tmp_path_factory.mktemp("erased"), stack)
        operator, admin = desk.browser("operator"), desk.browser("admin")
        path = f"{PAGES}/customers/{desk.ada}/erase"
        assert (403, 200) == (operator.get(path).status_code, admin.get(path).status_code)
        assert 422 == admin.press(path, name="Ada").status_code
        assert (
            403
            == desk.client()
            .post(f"{HERE}/customers/{desk.ada}/erase", json={"name": "Ada Vermeulen"})
            .status_code
        )
        assert "Vermeulen" in str(desk.world.till_row("Customer", desk.ada))
        answer = admin.press(path, name="Ada Vermeulen")

        assert (200, True) == (answer.status_code, "Nothing is left to do" in answer.text)
        assert "Vermeulen" not in str(desk.world.till_row("Customer", desk.ada))
        assert [] != list(desk.world.home.glob("erasure-*.json"))
        assert "person erased" in desk.noted()


def test_a_viewer_is_offered_nothing_to_press(desk):
    viewer = desk.browser("viewer")
    shown = {
        path: viewer.get(f"{PAGES}/{path}").text
        for path in ("customers", f"customers/{desk.ada}", "problems", "reviews", "conflicts", "duplicates")
    }

    posts = {path: text.count('method="post"') for path, text in shown.items()}
    # One form signs out; the list stands in one that nothing submits.
    assert {"customers": 2, **dict.fromkeys(list(shown)[1:], 1)} == posts


def test_a_viewer_of_one_store_is_not_shown_whom_its_customers_may_be(desk):
    code = desk.client().get(f"{HERE}/stores").json()[0]["code"]
    limited = desk.client("read", "viewer", {"default": [code]})
    shown = [limited.get(f"{HERE}/{path}").json() for path in ("reviews", f"customers/{desk.anna}")]

    assert [[str(desk.anna)], str(desk.anna)] == [[each["id"] for each in shown[0]["rows"]], shown[1]["id"]]
    assert [[], []] == [shown[0]["rows"][0]["candidates"], shown[1]["candidates"]]
    assert "Kramer" not in str(shown)
    assert "Kramer" in desk.client().get(f"{HERE}/customers/{desk.anna}").text


@pytest.mark.parametrize("role", ["viewer", "operator", "admin"])
def test_no_page_leads_somebody_of_one_store_to_a_closed_door(tmp_path_factory, role):
    """Ada has a history of runs, Anna waits in review, a plan holds what would be written to Ada."""
    with ExitStack() as stack:
        desk = Desk(tmp_path_factory.mktemp("limited"), stack)
        desk.world.edit_customer(desk.ada, email="ada@other.example")
        desk.world.pass_time(minutes=20)
        desk.world.sync()
        code = desk.client().get(f"{HERE}/stores").json()[0]["code"]
        browser = desk.browser(role, {"default": [code]})
        begun = (
            "customers",
            f"customers/{desk.ada}",
            f"customers/{desk.anna}",
            "problems",
            "sales",
            "products",
        )
        pages = [browser.get(f"{PAGES}/{each}") for each in begun]
        # One address of each kind will do: a calendar alone has hundreds.
        links = {re.sub(r"[0-9]+", "N", each): each for page in pages for each in links_of(page.text)}
        met = {path: browser.get(path).status_code for path in links.values()}

    assert {200} == {page.status_code for page in pages}
    assert [] == [path for path, status in met.items() if status == 403]


def links_of(text):
    """Return where a page leads to in the connection."""
    return {unescape(each).partition("?")[0] for each in re.findall(r'href="(/c/[^"#]*)', text)}


# --- conflicts -----------------------------------------------------------------------------------


@pytest.fixture
def contested(tmp_path):
    """A desk where both sides have moved Ada's e-mail twice since it was looked at."""
    with ExitStack() as stack:
        desk = Desk(tmp_path, stack)
        both_sides_move(desk, "first")
        desk.before = desk.client().get(f"{HERE}/conflicts").json()["rows"][0]
        desk.page_before = desk.browser("operator").get(f"{PAGES}/conflicts").text
        both_sides_move(desk, "second")
        yield desk


def both_sides_move(desk, word):
    world = desk.world
    world.edit_customer(desk.ada, email=f"{word}@till.example")
    world.edit_in_crm(world.known("customer", desk.ada).crm_id, PersonEmail=f"{word}@crm.example")
    world.pass_time(minutes=5)
    world.sync()
    assert "conflict" == world.standing("customer", desk.ada)


def test_nobody_decides_for_values_that_they_have_not_seen(contested):
    desk, api, presses = contested, contested.client(), contested.browser("operator")
    number, old = desk.before["id"], desk.before["seen"]
    (now,) = api.get(f"{HERE}/conflicts").json()["rows"]
    assert (number, "second@till.example") == (now["id"], now["till"])
    ruling = {"ids": [number], "winner": "till"}

    stale = api.post(f"{HERE}/conflicts/keep", json={**ruling, "seen": {number: old}})
    assert (409, True) == (stale.status_code, "has changed since it was shown" in stale.json()["detail"])
    for path, seen in ((f"customers/{desk.ada}/keep", f"{number}-{old}"), ("conflicts", f"{number}-{old}")):
        refused = presses.press(f"{PAGES}/{path}", number=number, winner="till", seen=seen)
        assert (409, True) == (refused.status_code, "has changed since it was shown" in refused.text)
    assert f'value="{number}-{old}"' in desk.page_before
    assert "conflict" == desk.world.standing("customer", desk.ada)

    shown = presses.get(f"{PAGES}/conflicts").text
    assert f'value="{number}-{now["seen"]}"' in shown
    kept = presses.press(f"{PAGES}/conflicts", number=number, winner="till", seen=f"{number}-{now['seen']}")
    assert 303 == kept.status_code
    assert "second@till.example" == desk.world.org.row(desk.before["crm_id"])[1]["PersonEmail"]


# --- what is typed into addresses ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"{PAGES}/sales?q={10**22}.00", 200),
        (f"{PAGES}/sales?least=9999999999999&most=-999999999999", 200),
        (f"{PAGES}/sales?first=2026-13-45", 422),
        (f"{PAGES}/stores?last=0001-01-01", 422),
        (f"{PAGES}/stores?first=2026-13-45", 422),
        (f"{PAGES}/certificates?last=0001-01-05", 422),
        (f"{PAGES}/certificates?last=9999-12-31", 422),
        (f"{PAGES}/certificates?last=2000-01-01", 200),
        (f"{PAGES}/certificates?last=2100-12-31", 200),
        (f"{PAGES}/days/1/0001-01-01", 422),
        (f"{PAGES}/days/1/9999-12-31", 422),
        (f"/settings/audit?before={10**20}", 422),
        ("/c/nope", 404),
        ("/c/nope/sales", 404),
    ],
)
def test_an_address_that_leads_nowhere_says_so(desk, path, status):
    assert status == desk.browser("admin").get(path).status_code


@pytest.mark.parametrize("change", ["0", "-1", "9" * 40, "x"])
def test_a_change_that_there_cannot_be_is_not_restored(presses, change):
    assert 422 == presses.press(f"{PAGES}/conflicts/restore", change=change).status_code


@pytest.mark.parametrize(
    ("asked", "period"),
    [
        ("first=2026-11-01&last=2026-11-20", "first=2026-11-01&amp;last=2026-11-20"),
        ("days=90", "days=90"),
        ("", "days=30"),
    ],
)
def test_a_store_is_followed_into_the_period_that_is_shown(presses, asked, period):
    shown = presses.get(f"{PAGES}/stores?{asked}").text

    assert f'href="{PAGES}/stores?{period}&amp;store=1"' in shown


def test_hours_of_the_overview_say_whose_they_are(presses):
    assert 2 == presses.get(PAGES).text.count('<th scope="col">Hour (UTC)</th>')


@pytest.mark.parametrize("name", ["sales", "customers", "products"])
def test_beyond_its_end_a_list_leads_back_to_its_last_page(presses, name):
    shown = presses.get(f"{PAGES}/{name}?start=5000").text

    assert "0\u20130 of " in shown
    assert f'href="{PAGES}/{name}?start=0" rel="prev"' in shown


def test_tables_beside_charts_are_open_where_no_script_folds_them(presses):
    assert 2 == presses.get(PAGES).text.count('<details class="chart-table" data-folds open>')


def test_whoever_waits_for_a_person_is_not_said_to_have_nothing_new(contested):
    with contested.world.remembered() as state:
        told = fate(state, SimpleNamespace(acks={}), "customer", str(contested.ada))

    assert "conflict" == told["outcome"]
    assert "PersonEmail" in told["why"]


def looked_for(desk):
    """Search as a program does: post it once, and get it until it is done."""
    program = desk.client()
    said = program.post(f"{HERE}/duplicates/look", json={}).json()
    for _ in range(2_000):
        if said["done"]:
            return said
        said = program.get(f"{HERE}/duplicates/look").json()
    raise AssertionError(said)


def test_a_search_for_duplicates_needs_no_remote_and_says_what_it_came_to(desk):
    for fail in (desk.world.fail_till, desk.world.fail_crm):
        fail("error", status=503, times=1_000)
    try:
        said = looked_for(desk)
    finally:
        desk.world.till_server.faults.clear()
        desk.world.crm_server.faults.clear()

    assert said["found"]["till"] >= 3
    assert "duplicates looked for" in desk.noted()


def test_several_programs_may_ask_what_a_search_came_to_and_none_begins_another(desk):
    said = looked_for(desk)
    noted = desk.noted().count("duplicates looked for")
    others = [desk.client().get(f"{HERE}/duplicates/look").json() for _ in range(2)]

    assert [said, said] == others
    assert noted == desk.noted().count("duplicates looked for")


def test_a_search_that_nobody_has_begun_is_not_found(desk):
    desk.app.state.console.errands.forget("default")

    assert 404 == desk.client().get(f"{HERE}/duplicates/look").status_code


def test_a_search_that_is_under_way_is_shown_until_it_is_over(desk, presses):
    going_on = threading.Event()
    desk.app.state.console.errands.start("default", "search for duplicates", lambda errand: going_on.wait(30))
    try:
        page, part = (
            presses.get(f"{PAGES}/duplicates", headers=headers) for headers in ({}, {"hx-request": "true"})
        )
    finally:
        going_on.set()
    over = until_over(lambda: presses.get(f"{PAGES}/duplicates", headers={"hx-request": "true"}))

    assert "Looking for duplicates" in page.text
    assert 'id="errand"' in part.text
    assert "true" == over.headers["hx-refresh"]


def until_over(ask):
    """Ask as the page does until it is told to load itself anew."""
    for _ in range(200):
        answer = ask()
        if "hx-refresh" in answer.headers:
            return answer
    raise AssertionError("it is never over")
