"""Pages and verbs about people and problems, asked over HTTP: what they show, do, write down and refuse."""

from contextlib import ExitStack

import pytest
from test_api import HERE, Office
from web_console import Browser

PAGES = "/c/default"


class Desk(Office):
    """The office with Salesforce's own people, and a browser for each role."""

    def __init__(self, folder, stack):
        super().__init__(folder, stack)
        world = self.world
        self.carla = world.person("Carla", "Quist", email="carla@quist.example")
        self.otto = world.person("Otto", "Kramer", email="anna@prins.example")
        self.anna = world.customer("Anna", "<b>Prins</b>", email="anna@prins.example")
        world.pass_time(minutes=5)
        world.sync()

    def browser(self, role):
        """A browser of somebody with a role, signed in."""
        name = f"browser {role}"
        now = self.world.clock.now().timestamp()
        known = self.access.named(name)
        person = known[0] if known else self.access.add(name, role, now, password="no password")
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
    assert ["note", "assigned", "ignored"] == [each["what"] for each in told["remarks"]]
    assert {"browser operator"} == {each["by"] for each in told["remarks"]}
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


def test_a_customer_is_taken_apart_over_the_api_and_the_same_is_chosen_again(desk):
    api = desk.client()
    crm_id = desk.world.known("customer", desk.ada).crm_id
    done = api.post(f"{HERE}/customers/{desk.ada}/unlink", json={}).json()
    assert (crm_id, 1) == (done["crm_id"], done["receipts"])
    assert 422 == api.post(f"{HERE}/customers/{desk.ada}/unlink", json={}).status_code
    back = api.post(f"{HERE}/reviews/{desk.ada}/choose", json={"choice": crm_id}).json()
    assert ("settled", crm_id) == (back["state"], back["crm_id"])


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
