"""Who changed in the org, who is gone, who became whom, and whom the till may know: one call."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from tillbridge.connectors.http import Http
from tillbridge.connectors.salesforce import Credentials, SalesforceClient, metadata
from tillbridge.connectors.salesforce.people_question import PeopleQuestion
from tillbridge.connectors.salesforce.questions import Questions
from tillbridge.engine import ports
from tillbridge.model.answers import CrmPersonRow
from tillbridge.model.errors import BadRequest
from tillbridge.model.writing import FieldFacts, ObjectFacts
from tillbridge.simulators.clock import SimClock
from tillbridge.simulators.httpd import Server
from tillbridge.simulators.salesforce import build
from tillbridge.simulators.salesforce.people import convert_lead

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
OBJECTS = ("Account", "Contact", "Lead")


@dataclass
class Scope:
    """A scope as the configuration gives it."""

    mark: str | None = "Send_To_Lightspeed__c"
    record_types: tuple[str, ...] = ()
    where: dict[str, tuple[str, ...]] = field(default_factory=dict)


class World:
    """A simulated org with our package, and our client."""

    def __init__(self, http, *, person_accounts=True):
        self.clock = SimClock(NOON.timestamp(), running=False)
        app = build(None, clock=self.clock, switches={"person_accounts": person_accounts})
        self.org = app.org
        self.server = Server(app).start()
        secret = {"client_id": "demo-consumer", "client_secret": "demo-consumer-secret"}
        credentials = Credentials(grant="client_credentials", login_url=self.server.url, **secret)
        self.crm = SalesforceClient(http, credentials, clock=self, rng=Random(1))
        self._install(person_accounts)
        self.objects = dict.fromkeys(OBJECTS if person_accounts else OBJECTS[1:], ())
        self.facts = {name: self.crm.describe(name) for name in OBJECTS}
        self.clock.advance(60)
        self.since = self.now()

    def now(self):
        return self.clock.today()

    def monotonic(self):
        return self.clock.now()

    def sleep(self, seconds):
        self.clock.advance(seconds)

    def _install(self, person_accounts):
        package = metadata.build_zip(metadata.package_folder(), person_accounts=person_accounts)
        deployment = self.crm.deploy(package, check_only=False)
        while not self.crm.deploy_status(deployment).done:
            self.clock.advance(5)
        self.crm.assign_permission_set("Tillbridge_Integration")

    def made(self, name, **fields):
        result = self.org.write(self.org.staff, name, "insert", fields, allow_duplicates=True)
        assert result.success, result.errors
        self.clock.advance(1)
        return result.id

    def edit(self, row_id, **fields):
        name = self.org.row(row_id)[0].sobject.name
        assert self.org.write(self.org.staff, name, "update", {"Id": row_id, **fields}).success

    def delete(self, row_id):
        name = self.org.row(row_id)[0].sobject.name
        assert self.org.write(self.org.staff, name, "delete", {"Id": row_id}).success

    def convert(self, lead_id):
        return convert_lead(self.org, lead_id)

    def later(self):
        """Begin to ask from now on."""
        self.clock.advance(5)
        self.since = self.now()
        self.clock.advance(5)

    def changed(self, scope=None):
        before = self.crm.calls
        rows = Questions(self.crm, scope).changed_people(self.objects, self.facts, self.since)
        assert 1 == self.crm.calls - before
        return {row.id: row for row in rows}


@pytest.fixture
def start():
    worlds = []
    with Http() as http:

        def begin(**settings):
            worlds.append(World(http, **settings))
            return worlds[-1]

        yield begin
        for world in worlds:
            world.server.close()


@pytest.fixture
def world(start):
    return start()


def fate(row):
    return row.deleted, row.converted, row.became_object, row.became


def test_it_answers_what_the_engine_asks(world):
    asked: ports.Questions = Questions(world.crm, Scope())
    assert [] == asked.changed_people(world.objects, world.facts, world.since)


# --- what happened to people


def test_changes_come_with_nobody_who_did_not_change(world):
    kept, edited = (world.made("Account", LastName=name) for name in ("Kept", "Edited"))
    world.later()
    world.edit(edited, PersonEmail="e@example.com")
    new = world.made("Lead", LastName="New", Company="Acme")
    assert {
        edited: (False, False, None, None),
        new: (False, False, None, None),
    } == {row_id: fate(row) for row_id, row in world.changed().items()}
    assert kept not in world.changed()


def test_a_deleted_person_is_told_while_the_bin_holds_them(world):
    person, lead = world.made("Account", LastName="Lee"), world.made("Lead", LastName="L", Company="A")
    world.later()
    world.delete(person)
    world.delete(lead)
    gone = world.changed()
    assert {person: "Account", lead: "Lead"} == {row_id: row.object for row_id, row in gone.items()}
    assert {(True, False, None, None)} == {fate(row) for row in gone.values()}
    # Absence is no deletion: past the bin, nothing is said of them.
    world.clock.advance(timedelta(days=16).total_seconds())
    assert [] == Questions(world.crm).changed_people(world.objects, world.facts, world.since)


def test_a_merged_person_names_the_winner_and_hidden_contacts_are_nobody(world):
    winner, loser = world.made("Account", LastName="Lee"), world.made("Account", LastName="Leigh")
    world.later()
    world.org.merge(winner, loser)
    found = world.changed()
    assert {
        winner: (False, False, None, None),
        loser: (True, False, "Account", winner),
    } == {row_id: fate(row) for row_id, row in found.items()}


def test_merges_of_contacts_and_leads(start):
    world = start(person_accounts=False)
    account = world.made("Account", Name="Household")
    one, two = (world.made("Contact", LastName=name, AccountId=account) for name in ("One", "Two"))
    three, four = (world.made("Lead", LastName=name, Company="A") for name in ("Three", "Four"))
    world.later()
    world.org.merge(one, two)
    world.org.merge(four, three)
    found = world.changed()
    assert (True, False, "Contact", one) == fate(found[two])
    assert (True, False, "Lead", four) == fate(found[three])


def test_a_converted_lead_became_its_person_account(world):
    # An org that has person accounts does not ask for the company of a Lead who is a person.
    lead = world.made("Lead", LastName="Lee")
    world.later()
    made = world.convert(lead)
    found = world.changed()
    assert (False, True, "Account", made["ConvertedAccountId"]) == fate(found[lead])
    assert made["ConvertedAccountId"] in found


@pytest.mark.parametrize("person_accounts", [True, False], ids=["with person accounts", "without"])
def test_a_converted_lead_of_a_company_became_its_contact(start, person_accounts):
    world = start(person_accounts=person_accounts)
    lead = world.made("Lead", LastName="Lee", Company="Acme")
    world.later()
    made = world.convert(lead)
    assert (False, True, "Contact", made["ConvertedContactId"]) == fate(world.changed()[lead])


def test_without_the_right_to_see_who_won_somebody_is_deleted(world):
    """A field that the user may not see is in no query: asking for it would fail the whole poll."""
    winner, loser = world.made("Account", LastName="Lee"), world.made("Account", LastName="Leigh")
    world.later()
    world.org.merge(winner, loser)
    facts = world.facts["Account"]
    fewer = {name: known for name, known in facts.fields.items() if name != "MasterRecordId"}
    world.facts["Account"] = ObjectFacts(
        name="Account", label="Account", createable=True, updateable=True, fields=fewer
    )
    assert (True, False, None, None) == fate(world.changed()[loser])


# --- by id


def test_people_are_read_by_id_whatever_became_of_them(world):
    people = [world.made("Account", LastName=f"P{n}") for n in range(3)]
    lead = world.made("Lead", LastName="L", Company="A")
    others = [world.made("Lead", LastName="Other", Company="A")]
    hidden = world.org.rows("Account")[people[0]]["PersonContactId"]
    world.delete(people[1])
    world.org.merge(people[0], people[2])
    before = world.crm.calls
    asked = [*people, lead, people[0], hidden, "001000000000000AAA", "a00000000000000AAA"]
    rows = Questions(world.crm).people_by_id(world.objects, world.facts, asked)
    assert 1 == world.crm.calls - before
    assert {
        people[0]: (False, False, None, None),
        people[1]: (True, False, None, None),
        people[2]: (True, False, "Account", people[0]),
        lead: (False, False, None, None),
    } == {row.id: fate(row) for row in rows}
    assert others[0] not in {row.id for row in rows}


def test_two_hundred_ids_go_in_one_call(world):
    ids = [world.made("Lead", LastName=f"L{n}", Company="A") for n in range(3)]
    absent = [f"00Q{number:012}AAA" for number in range(500, 697)]
    before = world.crm.calls
    rows = Questions(world.crm).people_by_id(world.objects, world.facts, [*absent, *ids])
    assert (set(ids), 1) == ({row.id for row in rows}, world.crm.calls - before)
    Questions(world.crm).people_by_id(world.objects, world.facts, [*absent, *ids, "00Q000000009999AAA"])
    assert 3 == world.crm.calls - before


def test_no_ids_cost_nothing(world):
    before = world.crm.calls
    assert [] == Questions(world.crm).people_by_id(world.objects, world.facts, [])
    assert [] == Questions(world.crm).people_by_id(world.objects, world.facts, ["a00000000000000AAA"])
    assert before == world.crm.calls


# --- whom the till may know


def test_a_person_is_wanted_by_mark_record_type_or_field(world):
    plain = world.made("Account", LastName="Plain")
    ticked = world.made("Account", LastName="Ticked", Send_To_Lightspeed__c=True)
    hot = world.made("Lead", LastName="Hot", Company="A", Rating="Hot")
    ids = plain, ticked, hot
    for scope, expected in [
        (None, set()),
        (Scope(), {ticked}),
        (Scope(mark=None), set()),
        (Scope(record_types=("PersonAccount",)), {plain, ticked}),
        (Scope(mark=None, where={"Rating": ("hot", "Warm")}), {hot}),
        (Scope(where={"Rating": ("Hot",)}), {ticked, hot}),
        (Scope(mark=None, record_types=("PersonAccount",), where={"Rating": ("Hot",)}), set()),
        (Scope(mark="No_Such_Box__c", where={"No_Such_Field__c": ("x",)}), set()),
    ]:
        found = world.changed(scope)
        assert expected == {row_id for row_id in ids if found[row_id].wanted}, scope
        everyone = list(Questions(world.crm, scope).people(world.facts["Account"], ()))
        assert expected - {hot} == {row.id for row in everyone if row.wanted}, scope


def test_a_large_org_is_read_by_a_bulk_job_with_the_same_answers(world):
    """Record types are a parent's field, which a bulk query's columns name as a query's rows do."""
    ticked = world.made("Account", LastName="Ticked", Send_To_Lightspeed__c=True)
    typed = world.made("Account", LastName="Typed")
    for scope in (Scope(), Scope(mark=None, record_types=("PersonAccount",))):
        asked = PeopleQuestion(world.facts["Account"], (), scope)
        rows = [row for chunk in world.crm.bulk_query(asked.text(None)) for row in chunk]
        read = {
            row.id: row.wanted
            for row in (asked.read({name: value or None for name, value in each.items()}) for each in rows)
        }
        assert {ticked: True, typed: bool(scope.record_types)} == read


def test_the_deleted_and_the_converted_are_not_wanted(world):
    one = world.made("Account", LastName="Gone", Send_To_Lightspeed__c=True)
    two = world.made("Lead", LastName="Moved", Company="A", Send_To_Lightspeed__c=True)
    world.delete(one)
    world.convert(two)
    found = world.changed(Scope())
    assert (False, False) == (found[one].wanted, found[two].wanted)


def facts(**types):
    fields = {name: FieldFacts(name=name, type=kind) for name, kind in types.items()}
    return ObjectFacts(name="Lead", label="Lead", createable=True, updateable=True, fields=fields)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("Retail;VIP", True, id="one of several"),
        pytest.param("vip", True, id="case says nothing"),
        pytest.param("VIPs", False, id="another"),
        pytest.param(None, False, id="none"),
    ],
)
def test_of_a_multi_select_picklist_one_value_is_enough(value, expected):
    asked = PeopleQuestion(facts(Kind__c="multipicklist"), (), Scope(mark=None, where={"Kind__c": ("VIP",)}))
    assert "SELECT Id, Kind__c FROM Lead" == asked.text(None)
    assert CrmPersonRow(id="1", object="Lead", wanted=expected) == asked.read({"Id": "1", "Kind__c": value})


def test_a_query_that_fails_within_the_call_fails_it(world):
    world.facts["Lead"] = facts(No_Such_Field__c="string")
    with pytest.raises(BadRequest, match="No_Such_Field__c"):
        Questions(world.crm, Scope(mark="No_Such_Field__c")).changed_people(
            world.objects, world.facts, world.since
        )
