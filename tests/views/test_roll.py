"""The index of people: found as somebody types, kept fresh by stamps, limited to the stores one may see."""

import pytest
from store_home import Home

from tillbridge.model.answers import CrmPersonRow
from tillbridge.store import schema
from tillbridge.store.arrivals import Arrivals
from tillbridge.sync.match import Person
from tillbridge.views.roll import Roll, needles_of


class Town:
    """A home with people in it, and the roll of them."""

    def __init__(self, path):
        self.home = Home(path)
        self.arrivals = Arrivals(self.home.state, self.home.vault)
        self.roll = Roll(self.home.state, self.home.people, self.arrivals, self.home.clock)

    def till(self, i, first="", last="", *, state="settled", crm=None, shops=(), **more):
        with self.home.state.begin() as c:
            self.arrivals.index(c, [(Person(str(i), first=first, last=last, **more), [])])
            for shop in shops:
                row = {"customer": str(i), "store": shop, "noted_at": self.home.state.now()}
                c.execute(schema.bought.insert().values(row))
        self.home.stand("customer", str(i), state, crm_id=crm)

    def crm(self, i, first="", last="", **more):
        with self.home.state.begin() as c:
            self.home.people.index(
                c, [(CrmPersonRow(id=i, object="Account", first=first, last=last, **more), [])]
            )

    def found(self, query="", wanted=None, stores=None):
        self.home.clock.sleep(60)
        rows = self.roll.search(query, wanted, stores=stores).rows
        return [till or crm for till, crm in rows]


@pytest.fixture
def town(tmp_path):
    made = Town(tmp_path)
    made.till(
        1, "Ada", "Vermeulen", crm="001A", emails=("ada@mail.example",), phones=("+31612345678",), shops=["1"]
    )
    made.crm("001A", "Ada", "Vermeulen-Smit", phones=("020 555 0199",))
    made.till(2, "Bruno", "Novák", state="review", shops=["2"])
    made.till(3, "Ümit", "Adan", state="problem", crm="001C", company="Adan & Sons", shops=["1", "2"])
    made.till(4, "Dora", "Janssen", state="left_out")
    made.crm("001E", "Eva", "Bos", emails=("eva@shop.example",))
    yield made
    made.home.close()


@pytest.mark.parametrize(
    ("sentence", "query", "expected"),
    [
        ("a whole name finds its person", "Ada Vermeulen", ["1"]),
        ("words may come in any order", "vermeulen ada", ["1"]),
        ("whole words come before beginnings, both before middles", "ada", ["1", "3"]),
        ("accents and case do not matter", "umit", ["3"]),
        ("a name is found by its plain letters", "novak", ["2"]),
        ("a company is a name", "sons", ["3"]),
        ("an e-mail is found by its beginning", "ada@mail", ["1"]),
        ("a national number finds the international one", "06 1234 5678", ["1"]),
        ("an international number finds it as well", "+31 6 12345678", ["1"]),
        ("the CRM's phone finds the till's customer", "0205550199", ["1"]),
        ("the CRM's name finds the till's customer", "smit", ["1"]),
        ("the CRM's id finds both sides", "001a", ["1"]),
        ("somebody of the CRM alone is found", "eva bos", ["001E"]),
        ("all words have to be there", "ada bos", []),
        ("nobody is called so", "zz9", []),
    ],
)
def test_somebody_types(town, sentence, query, expected):
    assert expected == town.found(query), sentence


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("linked", {"1"}),
        ("review", {"2"}),
        ("problem", {"3"}),
        ("conflict", set()),
        ("unsynced", {"4", "001E"}),
    ],
)
def test_a_filter_shows_who_stands_so_and_counts_them(town, wanted, expected):
    assert expected == set(town.found(wanted=wanted))
    assert len(expected) == town.roll.counts()[wanted]


def test_a_filter_and_words_both_have_to_hold(town):
    assert ["3"] == town.found("ada", "problem")
    assert [] == town.found("ada", "review")


@pytest.mark.parametrize(
    ("stores", "expected"),
    [(["1"], {"1", "3"}), (["2"], {"2", "3"}), (["1", "2"], {"1", "2", "3"}), (["9"], set()), ([], set())],
)
def test_whoever_sees_some_stores_finds_those_who_bought_there(town, stores, expected):
    assert expected == set(town.found(stores=stores))
    assert expected & {"1", "3"} == set(town.found("ada", stores=stores))
    assert len(expected) == sum(town.roll.counts(stores).values())


def test_what_changes_is_found_with_the_next_look(town):
    town.found()
    town.till(1, "Adelheid", "Vermeulen", crm="001A")
    town.till(5, "Nina", "Newcomer", state="conflict", crm="001F", shops=["2"])
    town.crm("001G", "Gijs", "Groen")

    assert ["1"] == town.found("adelheid")
    assert [] == town.found("ada@mail"), "the e-mail has gone"
    assert ["5"] == town.found("nina", "conflict")
    assert ["5"] == town.found("nina", stores=["2"])
    assert ["001G"] == town.found("groen")


def test_a_new_standing_moves_somebody_to_another_filter(town):
    town.found()
    town.home.stand("customer", "2", "settled", crm_id="001B")

    assert [] == town.found(wanted="review")
    assert {"1", "2"} == set(town.found(wanted="linked"))


def test_somebody_of_the_crm_who_is_linked_is_shown_once(town):
    town.found()
    town.till(6, "Eva", "Bos", crm="001E")

    assert ["6"] == town.found("eva bos")
    assert {"4"} == set(town.found(wanted="unsynced"))


def test_whoever_is_gone_is_found_no_more(town):
    town.found()
    with town.home.state.begin() as c:
        town.home.people.forget(c, ["001E"])
        town.arrivals.forget(c, ["4"])

    assert [] == town.found("eva")
    assert [] == town.found("dora"), "an erased name is in no line"
    assert ["4"] == town.found(wanted="unsynced"), "the customer's record stands"


def test_following_and_reading_anew_come_to_the_same(town):
    town.found()
    for number in range(20):
        town.till(100 + number, f"Person{number}", "Crowd", state="review" if number % 3 else "settled")
        if number % 4 == 0:
            town.till(100 + number, f"Other{number}", "Crowd", crm=f"00X{number}")
    followed = {
        (query, wanted): set(town.found(query, wanted))
        for query in ("crowd", "other", "")
        for wanted in (None, "review", "linked")
    }
    anew = Roll(town.home.state, town.home.people, town.arrivals, town.home.clock)
    town.roll = anew

    assert followed == {(query, wanted): set(town.found(query, wanted)) for query, wanted in followed}


def test_pages_follow_one_another_without_a_gap(town):
    for number in range(30):
        town.till(200 + number, f"Page{number:02}", "Turner")
    whole = town.roll.search("turner", limit=100).rows
    parts = [row for start in (0, 10, 20) for row in town.roll.search("turner", offset=start, limit=10).rows]

    assert 30 == len(whole)
    assert whole == parts


def test_who_moved_at_one_moment_stands_on_one_page_each(town):
    town.home.clock.sleep(60)
    for number in range(30):
        town.till(200 + number, f"Page{number:02}", "Turner")
    pages = [town.roll.search("", offset=start, limit=25).rows for start in (0, 25)]
    shown = [till or crm for page in pages for till, crm in page]

    assert 35 == len(shown) == len(set(shown))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", []),
        ("   ", []),
        ("Ada  ada", ["ada"]),
        ("O'Neill", ["oneill"]),
        ("ADA@Mail.example", ["ada@mail.example"]),
        ("06 12 34 56 78", ["612345678"]),
        ("00123", ["123"]),
        ("42", ["42"]),
        ("%_'\"", ["%_'\""]),
    ],
)
def test_what_is_looked_for(query, expected):
    assert expected == needles_of(query)
