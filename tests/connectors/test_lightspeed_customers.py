"""Customers written to the simulated till, over real HTTP, with what goes wrong on the way."""

import random
from datetime import UTC, datetime

import pytest

from tillbridge.connectors.http import Http
from tillbridge.connectors.lightspeed_r import LightspeedR, MemoryTokenStore
from tillbridge.connectors.lightspeed_r.writing import slots_of
from tillbridge.engine.ports import Till
from tillbridge.model.customer import anonymised
from tillbridge.model.errors import BadRequest, NotFound, PermissionMissing, Transient
from tillbridge.model.reading import Query
from tillbridge.model.records import Address, Email, Phone
from tillbridge.simulators.clock import SimClock
from tillbridge.simulators.httpd import Fault, Server
from tillbridge.simulators.lightspeed import build

NOW = datetime(2026, 3, 2, 18, 0, tzinfo=UTC)
BORN = datetime(1984, 11, 3, 5, tzinfo=UTC)
MAREN = {
    "first_name": "Maren",
    "last_name": "Oduya",
    "company": "Oduya Design",
    "email": "maren@example.com",
    "home_phone": "518 555 0111",
    "mobile_phone": "518 555 0142",
    "birth_date": BORN,
    "street": "14 Pinehurst Ln\nUnit 2",
    "city": "Albany",
    "state": "New York",
    "state_code": "NY",
    "zip": "12203",
    "no_phone": True,
}
BOTH = pytest.mark.parametrize(
    "switches",
    [
        pytest.param({}, id="slots are kept"),
        pytest.param({"contact_replace": True}, id="what is sent replaces all"),
        pytest.param({"customer_echo_bare": True}, id="the echo shows no contact"),
    ],
)


class Waiting:
    """The simulator's clock, waited on by jumping it ahead."""

    def __init__(self, clock):
        self._clock = clock
        self.meanwhile = lambda: None  # what others do during a wait

    def now(self):
        return datetime.fromtimestamp(self._clock.now(), UTC)

    def monotonic(self):
        return self._clock.now()

    def sleep(self, seconds):
        self._clock.advance(seconds)
        self.meanwhile()


class World:
    """An account with a shop and a register, and our client."""

    def __init__(self, http):
        clock = SimClock(NOW.timestamp(), running=False)
        self.clock = Waiting(clock)
        self.app = build(None, clock=clock)
        self.server = Server(self.app).start()
        self.till = LightspeedR(
            client_id="demo-client",
            client_secret="demo-secret",
            refresh_token="demo-refresh",
            store=MemoryTokenStore(),
            clock=self.clock,
            rng=random.Random(1),
            http=http,
            api_url=self.server.url,
            auth_url=self.server.url,
        )

    def switch(self, **switches):
        self.app.world.switches.set(switches)

    def fault(self, kind, match, **more):
        self.server.faults.append(Fault(kind, match, **more))
        return self.server.faults[-1]

    def staff(self, customer, **fields):
        """Change a customer as somebody at the counter would."""
        self.app.floor.edit("Customer", int(customer.id), fields)

    def held(self):
        return [customer for page in self.till.customers(Query()) for customer in page.rows]

    def calls(self, method):
        return sum(n for path, n in self.server.calls.items() if path.startswith(method) and "/API/" in path)


@pytest.fixture
def world():
    with Http() as http:
        made = World(http)
        yield made
        made.server.close()


def test_it_is_a_till(world):
    till: Till = world.till
    assert till.create_customer(MAREN).id == world.held()[0].id


# --- new ones


@BOTH
def test_a_new_customer_is_returned_as_the_till_keeps_it(world, switches):
    world.switch(**switches)
    made = world.till.create_customer(MAREN)
    assert [made] == world.held()
    assert (Email("primary", "maren@example.com"),) == made.emails
    assert (Phone("home", "518 555 0111"), Phone("mobile", "518 555 0142")) == made.phones
    assert ("14 Pinehurst Ln", "Unit 2", "NY") == (
        made.address.street,
        made.address.street2,
        made.address.state_code,
    )
    assert BORN == made.birth_midnight
    assert (False, True, False) == (made.no_email, made.no_phone, made.no_mail)


@pytest.mark.parametrize(
    ("kind", "more", "held"),
    [
        pytest.param("reset_after", {}, 1, id="the answer is cut off behind the work"),
        pytest.param("half_body", {}, 1, id="half of the answer is lost"),
        pytest.param("reset_before", {}, 0, id="the connection dies before the work"),
        pytest.param("status", {"status": 502}, 0, id="a gateway breaks down"),
        pytest.param("status", {"status": 500, "body": "{}"}, 0, id="the server breaks down"),
    ],
)
def test_a_create_whose_answer_is_lost_is_never_repeated(world, kind, more, held):
    """Whether it happened is found out by asking."""
    fault = world.fault(kind, "POST .*/Customer", times=None, **more)
    with pytest.raises(Transient) as lost:
        world.till.create_customer(MAREN)
    assert (True, 1) == (lost.value.outcome_unknown, fault.hits)
    assert held == len(world.till.find_customers(emails=["maren@example.com"], phones=[]))
    assert held == len(world.held())


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        pytest.param("status", {"status": 400, "body": '{"message":"Please try again later."}'}, id="later"),
        pytest.param("status", {"status": 409, "body": "{}"}, id="a conflict"),
        pytest.param("status", {"status": 429, "headers": {"Retry-After": "3"}}, id="too fast"),
    ],
)
def test_a_create_that_was_turned_away_is_sent_again(world, kind, more):
    world.fault(kind, "POST .*/Customer", **more)
    assert [world.till.create_customer(MAREN)] == world.held()


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("<html></html>", id="a page"),
        pytest.param('{"@attributes":{"count":"0"}}', id="nobody"),
    ],
)
def test_a_create_whose_answer_cannot_be_read_is_unknown_too(world, body):
    world.fault("status", "POST .*/Customer", status=200, body=body)
    with pytest.raises(Transient) as lost:
        world.till.create_customer(MAREN)
    assert (True, 1) == (lost.value.outcome_unknown, world.calls("POST"))


def test_a_create_that_cannot_be_read_back_is_unknown_too(world):
    """It has happened: whoever took it for a failure would create them twice."""
    world.switch(customer_echo_bare=True)
    world.fault("status", "GET .*/Customer/", times=None)
    with pytest.raises(Transient, match="was created in Lightspeed") as lost:
        world.till.create_customer(MAREN)
    assert lost.value.outcome_unknown
    assert 1 == len(world.held())


def test_a_create_that_found_no_server_left_nothing_unknown(world):
    world.till.account()
    world.server.close()
    world.till.close()
    with pytest.raises(Transient) as gone:
        world.till.create_customer(MAREN)
    assert not gone.value.outcome_unknown
    world.server = Server(world.app).start()


def test_a_token_that_dies_before_a_write_is_replaced(world):
    world.till.account()
    world.fault("status", "POST .*/Customer", status=401, body='{"error":"access_denied"}')
    assert [world.till.create_customer(MAREN)] == world.held()
    assert 2 == world.till.token_calls


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(lambda till, one: till.create_customer(MAREN), id="create"),
        pytest.param(lambda till, one: till.change_customer(one, {"company": "New"}), id="change"),
        pytest.param(lambda till, one: till.archive_customer(one.id), id="archive"),
        pytest.param(lambda till, one: till.anonymise_customer(one.id), id="anonymise"),
    ],
)
def test_who_may_only_read_is_told_the_scope(world, write):
    made = world.till.create_customer(MAREN)
    world.switch(employee_rights="employee:customers_read")
    with pytest.raises(PermissionMissing, match="employee:customers") as refused:
        write(world.till, made)
    assert "authorise Tillbridge in Lightspeed again" in str(refused.value)
    assert [made] == world.held()


def test_the_buckets_price_is_foreseen(world):
    """Many writes in a row are never turned away."""
    made = world.till.create_customer(MAREN)
    for number in range(33):
        made = world.till.change_customer(made, {"work_phone": str(number), "city": f"Town {number}"})
        world.till.create_customer({**MAREN, "first_name": f"N{number}"})
    assert 0 == world.till.refused_429
    assert 34 == len(world.held())


# --- who is there


def test_people_are_found_by_what_reaches_them_also_archived_ones(world):
    a = world.till.create_customer({"last_name": "A", "email": "a+x@example.com"})
    b = world.till.create_customer({"last_name": "B", "secondary_email": "b@example.com"})
    c = world.till.create_customer({"last_name": "C", "work_phone": "+1 (518) 1"})
    world.till.create_customer({"last_name": "D", "email": "d@example.com", "mobile_phone": "2"})
    world.till.archive_customer(c.id)
    before = world.till.calls
    found = world.till.find_customers(emails=["A+X@example.com", "b@example.com"], phones=["+1 (518) 1"])
    assert [a.id, b.id, c.id] == [customer.id for customer in found]
    # One call a field that is looked in, and one for all who were found.
    assert 7 == world.till.calls - before
    before = world.till.calls
    assert [a.id, c.id] == [
        customer.id
        for customer in world.till.find_customers(emails=["a+x@example.com"], phones=["+1 (518) 1"])
    ]
    assert 2 == world.till.calls - before
    assert [] == world.till.find_customers(emails=["nobody@example.com"], phones=[])
    assert [] == world.till.find_customers(emails=[], phones=[])


# --- changes


@BOTH
@pytest.mark.parametrize(
    "slots",
    [
        pytest.param({"company": "Oduya Ltd", "title": "Dr"}, id="the customer itself"),
        pytest.param({"work_phone": "9"}, id="one more number"),
        pytest.param({"home_phone": None}, id="one number less"),
        pytest.param({"home_phone": None, "mobile_phone": None}, id="no numbers"),
        pytest.param({"email": None, "secondary_email": "m@example.org"}, id="the other e-mail"),
        pytest.param({"zip": "12204"}, id="part of the address"),
        pytest.param({"street": "1 Elm St"}, id="a shorter street"),
        pytest.param(dict.fromkeys(["street", "city", "state", "state_code", "zip"]), id="no address at all"),
        pytest.param({"no_email": True}, id="an opt-out"),
        pytest.param({"birth_date": None, "first_name": None}, id="emptied"),
    ],
)
def test_a_change_leaves_all_else(world, switches, slots):
    world.switch(**switches)
    made = world.till.create_customer(MAREN)
    changed = world.till.change_customer(made, slots)
    [held] = world.held()
    assert held == changed
    assert {**slots_of(made), **slots} == slots_of(held)


def test_a_change_costs_two_calls_and_says_no_more_than_it_must(world):
    made = world.till.create_customer(MAREN)
    before = world.till.calls
    world.till.change_customer(made, {"company": "New"})
    assert 2 == world.till.calls - before


def test_what_it_shows_already_is_not_written(world):
    made = world.till.create_customer(MAREN)
    assert made == world.till.change_customer(made, {"company": " Oduya Design ", "no_phone": True})
    assert 0 == world.calls("PUT")


def test_what_somebody_changed_meanwhile_is_not_overwritten(world):
    made = world.till.create_customer(MAREN)
    world.staff(
        made, company="Theirs", Contact={"Phones": {"ContactPhone": {"number": "7", "useType": "Fax"}}}
    )
    assert world.till.change_customer(made, {"company": "Ours"}) is None
    changed = world.till.change_customer(made, {"title": "Dr", "home_phone": "8"})
    assert ("Theirs", "Dr", "8", "7") == (
        changed.company,
        changed.title,
        changed.phone("home"),
        changed.phone("fax"),
    )


def test_who_was_merged_away_is_not_written(world):
    made, kept = world.till.create_customer(MAREN), world.till.create_customer({"last_name": "Keeps"})
    world.app.floor.merge(int(kept.id), int(made.id))
    assert world.till.change_customer(made, {"company": "New"}) is None
    world.switch(merge_deletes_secondary=True)
    other = world.till.create_customer({"last_name": "Goes"})
    world.app.floor.merge(int(kept.id), int(other.id))
    with pytest.raises(NotFound, match=f"'{other.id}'"):
        world.till.change_customer(other, {"company": "New"})


@pytest.mark.parametrize("kind", ["reset_before", "reset_after", "half_body"])
def test_a_change_whose_answer_is_lost_is_looked_after(world, kind):
    made = world.till.create_customer(MAREN)
    world.fault(kind, "PUT .*/Customer")
    changed = world.till.change_customer(made, {"company": "New"})
    assert "New" == changed.company
    assert (2 if kind == "reset_before" else 1) == world.calls("PUT")


def test_between_two_tries_a_person_may_have_changed_it(world):
    """The first try is turned away; by the second, the counter has changed the very slot."""
    made = world.till.create_customer(MAREN)
    world.fault("status", "PUT .*/Customer", status=409, body="{}")
    world.clock.meanwhile = lambda: world.staff(made, company="Theirs")
    assert world.till.change_customer(made, {"company": "Ours"}) is None
    assert ["Theirs"] == [customer.company for customer in world.held()]


def test_a_change_that_never_gets_through_says_so(world):
    made = world.till.create_customer(MAREN)
    fault = world.fault("status", "PUT .*/Customer", times=None)
    with pytest.raises(Transient, match="503"):
        world.till.change_customer(made, {"company": "New"})
    assert 4 == fault.hits


def test_a_slot_that_did_not_take_is_named(world):
    """The till drops a title that it was sent (read-only there, say) without a word."""
    made = world.till.create_customer(MAREN)
    world.fault("status", "PUT .*/Customer", status=200, body='{"@attributes":{"count":"1"}}', times=None)
    with pytest.raises(BadRequest, match=r"title did not change.*by hand") as refused:
        world.till.change_customer(made, {"title": "Dr"})
    assert ("NOT_TAKEN", ("title",)) == (refused.value.code, refused.value.fields)


def test_a_refusal_is_the_tills_own(world):
    made = world.till.create_customer(MAREN)
    world.fault("status", "PUT .*/Customer", status=400, body='{"message":"title is too long."}')
    with pytest.raises(BadRequest, match="title is too long"):
        world.till.change_customer(made, {"title": "Dr"})


# --- the end


def with_secrets(world):
    for name in ("Ring size", "Member no"):
        world.app.floor.add("CustomField", {"type": "string", "name": name})
    made = world.till.create_customer(MAREN)
    values = [{"customFieldID": 1, "value": "52"}, {"customFieldID": 2, "value": "A-1"}]
    world.staff(made, Note={"note": "left-handed"}, Tags={"tag": ["vip"]}, CustomFieldValues=values)
    return world.held()[0]


@pytest.mark.parametrize("kind", [None, "reset_after", "reset_before"])
def test_what_erasure_keeps_is_emptied_first(world, kind):
    made = with_secrets(world)
    assert ("left-handed", ("vip",), {"Ring size": "52", "Member no": "A-1"}) == (
        made.note,
        made.tags,
        made.custom,
    )
    if kind:
        world.fault(kind, "PUT .*/Customer")
    world.till.clear_customer(made.id)
    [held] = world.held()
    assert (None, (), {}) == (held.note, held.tags, held.custom)
    assert (made.emails, made.phones) == (held.emails, held.phones)
    puts = world.calls("PUT")
    world.till.clear_customer(made.id)
    assert puts == world.calls("PUT")


def test_what_stays_although_emptied_is_named(world):
    made = with_secrets(world)
    world.fault("status", "PUT .*/Customer", status=200, body='{"@attributes":{"count":"1"}}', times=None)
    with pytest.raises(BadRequest, match="Note, CustomFieldValues, Tags of customer"):
        world.till.clear_customer(made.id)


@pytest.mark.parametrize("kind", [None, "reset_after", "reset_before", "half_body"])
def test_erasing_and_archiving_are_as_good_twice(world, kind):
    made = world.till.create_customer(MAREN)
    for end in (world.till.anonymise_customer, world.till.archive_customer):
        if kind:
            world.fault(kind, "DELETE .*/Customer")
        end(made.id)
        end(made.id)
    [held] = world.held()
    assert (True, True, (), (), None) == (
        anonymised(held),
        held.archived,
        held.emails,
        held.phones,
        held.address,
    )


@pytest.mark.parametrize(
    ("end", "match"),
    [
        pytest.param(lambda till, one: till.anonymise_customer(one), "did not erase", id="erase"),
        pytest.param(lambda till, one: till.archive_customer(one), "did not archive", id="archive"),
    ],
)
def test_an_end_that_did_not_come_is_told(world, end, match):
    made = world.till.create_customer(MAREN)
    world.fault("status", "DELETE .*/Customer", status=200, body='{"@attributes":{"count":"1"}}')
    with pytest.raises(BadRequest, match=match):
        end(world.till, made.id)


def test_a_refusal_to_end_what_has_ended_is_none(world):
    made = world.till.create_customer(MAREN)
    world.till.archive_customer(made.id)
    world.fault("status", "DELETE .*/Customer", status=400, body='{"message":"It is archived."}', times=None)
    world.till.archive_customer(made.id)
    with pytest.raises(BadRequest, match="It is archived"):
        world.till.anonymise_customer(made.id)


def test_nobody_to_end_is_told(world):
    with pytest.raises(NotFound):
        world.till.archive_customer("99")


def test_an_address_is_gone_when_all_of_it_is(world):
    made = world.till.create_customer({"last_name": "A", "city": "Albany"})
    assert Address(city="Albany") == made.address
    assert world.till.change_customer(made, {"city": None}).address is None
