"""The way back: which fields of the CRM may be written to the till, to which slot, and as what."""

from datetime import UTC, date, datetime

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tillbridge.model.customer import customer_facts, nameless
from tillbridge.model.records import Address, Customer, Email, Phone
from tillbridge.model.times import birth_date
from tillbridge.model.writing import TILL_SLOTS, FieldFacts, ObjectFacts
from tillbridge.sync.alike import comparison
from tillbridge.sync.fieldmap import CUSTOMER_MODELS, compile_maps
from tillbridge.sync.fit import fit
from tillbridge.sync.functions import FUNCTIONS, RESPELLING
from tillbridge.sync.pullback import Unfit, new_customer, pulled, till_value, writable

ZONE = "Europe/Amsterdam"


def table(model="contact", **overrides):
    return compile_maps({"customer": overrides}, account="190001", model=model).customer


def org(of, *without, coded=False):
    """Return what an org says of the fields of a map; one with lists of states and countries is `coded`."""
    names = [name for name in of.targets if name not in without and (coded or not name.endswith("Code"))]
    names += [name for name in of.targets if name.endswith("PostalCode")]
    return ObjectFacts(
        name=of.object,
        label=of.object,
        createable=True,
        updateable=True,
        fields={name: FieldFacts(name=name, type="string", length=255) for name in names},
    )


CONTACT = table()
FREE, CODED = org(CONTACT), org(CONTACT, coded=True)
WAYS, CODED_WAYS = writable(CONTACT, FREE), writable(CONTACT, CODED)
MAREN = Customer(
    id="501",
    first_name="Maren",
    last_name="Oduya",
    emails=(Email("primary", "maren@example.com"),),
    address=Address(state="New York", state_code="NY", country="United States", country_code="US"),
)


def pull(changes, now=MAREN, ways=WAYS, shown=None):
    found = pulled(changes, ways, now, shown or {}, zone=ZONE, region="GB")
    return found.slots, found.refused


# --- which fields --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param("pager", "pager", id="a plain attribute"),
        pytest.param("pager | e164:US", "pager", id="a phone respelt"),
        pytest.param("fax | strip | upper", "fax", id="respelt twice"),
        pytest.param("'pager'", None, id="a constant"),
        pytest.param("pager, fax | first", None, id="one of several"),
        pytest.param("custom.pager", None, id="a custom field of the till"),
        pytest.param("id", None, id="the till's own id"),
        pytest.param("created_at", None, id="what the till alone knows"),
        pytest.param("type", None, id="the customer type"),
        pytest.param("tags | join:', '", None, id="the tags"),
        pytest.param("note", None, id="the note"),
        pytest.param("name", None, id="a derived name"),
        pytest.param("company_or_name", None, id="a derived company"),
        pytest.param("pager | truncate:3", None, id="a part of it"),
        pytest.param("pager | default:none", None, id="made up where there is nothing"),
        pytest.param("pager | bool", None, id="a yes where a number stands"),
        pytest.param("fax | country_code", None, id="a function that is not at home there"),
        pytest.param("email", None, id="what another field writes already"),
    ],
)
def test_what_a_line_writes_back(line, expected):
    over = table(X__c=line)
    way = writable(over, org(over)).get("X__c")

    assert expected == (way and way.slot)


def test_a_function_that_spells_is_one_of_the_map():
    assert set(FUNCTIONS) >= RESPELLING


@pytest.mark.parametrize("model", CUSTOMER_MODELS)
@pytest.mark.parametrize("coded", [False, True], ids=["free text", "lists of states and countries"])
def test_the_shipped_maps_write_back_what_the_till_can_hold(model, coded):
    of = table(model)
    slots = [way.slot for way in writable(of, org(of, coded=coded)).values()]
    places = {"state_code", "country_code"} if coded else {"state", "country"}
    missing = {"pager", "fax"} | ({"company"} if model == "lead" else set())

    assert set(TILL_SLOTS) - missing - {"state", "state_code", "country", "country_code"} | places == set(
        slots
    )
    assert len(slots) == len(set(slots))


def test_a_field_that_the_org_does_not_show_is_not_written_back():
    assert "Birthdate" not in writable(CONTACT, org(CONTACT, "Birthdate"))


def test_an_opt_out_knows_that_it_is_one():
    assert {"HasOptedOutOfEmail", "DoNotCall", "Lightspeed_No_Mail__c"} == {
        name for name, way in WAYS.items() if way.opt_out
    }


# --- one value -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("slot", "text", "expected"),
    [
        pytest.param("first_name", "  Maren\u00a0 Luise ", "Maren Luise", id="without needless blanks"),
        pytest.param("city", "  ", None, id="a blank empties it"),
        pytest.param("city", None, None, id="cleared"),
        pytest.param("city", "Den\tHaag", "Den Haag", id="a tab is a blank"),
        pytest.param(
            "street", "14 Pinehurst Ln\r\n\r\nApt 2 ", "14 Pinehurst Ln\nApt 2", id="a street has lines"
        ),
        pytest.param("title", "Head\nof sales", "Head of sales", id="nothing else has"),
        pytest.param("no_email", "true", True, id="yes"),
        pytest.param("no_mail", "false", False, id="no"),
        pytest.param(
            "birth_date", "1984-07-03", datetime(1984, 7, 2, 22, tzinfo=UTC), id="the shop's midnight"
        ),
        pytest.param(
            "birth_date",
            "1984-07-03T09:00:00.000+0000",
            datetime(1984, 7, 2, 22, tzinfo=UTC),
            id="the day of a moment",
        ),
        pytest.param("birth_date", "", None, id="no birthday any more"),
    ],
)
def test_what_the_crm_says_in_the_tills_words(slot, text, expected):
    assert expected == till_value(slot, text, ZONE)


@pytest.mark.parametrize(
    ("slot", "text", "why"),
    [
        pytest.param("first_name", "Mar\x07en", "control characters", id="a bell in a name"),
        pytest.param("street", "14 Hill\x00", "control characters", id="a zero byte"),
        pytest.param("birth_date", "in May", "no date", id="no day"),
        pytest.param("birth_date", "1984-02-30", "no date", id="a day that no year has"),
        pytest.param("birth_date", "0001-01-01", "no date", id="a day before time begins"),
        pytest.param("no_email", None, "neither yes nor no", id="nothing is no answer"),
        pytest.param("no_email", "maybe", "neither yes nor no", id="neither is this"),
    ],
)
def test_what_the_till_cannot_hold_is_refused(slot, text, why):
    with pytest.raises(Unfit, match=why):
        till_value(slot, text, ZONE)


@given(
    st.dates(date(1900, 1, 1), date(2037, 12, 31)),
    st.sampled_from(("Europe/Amsterdam", "America/New_York", "Pacific/Auckland", "Asia/Kolkata", "UTC")),
    st.lists(st.sampled_from(("America/Los_Angeles", "Pacific/Apia", "Europe/London")), max_size=2),
)
def test_a_birthday_is_the_same_day_when_it_is_read_again(day, first_zone, others):
    assert day == birth_date(till_value("birth_date", day.isoformat(), first_zone), [first_zone, *others])


# --- one customer --------------------------------------------------------------------------------

CHER = Customer(id="7", first_name="Cher")
ACME = Customer(id="8", company="Acme")
ONLY_SECOND = Customer(id="9", last_name="Roe", emails=(Email("secondary", "roe@example.com"),))
LOST = Customer(id="10", last_name="Roe", address=Address(street="1 Hill", country="Atlantis"))
RINGS = Customer(
    id="11", last_name="Roe", phones=(Phone("mobile", "518 555 0142"),), address=Address(country_code="US")
)
US = {"MailingCountryCode": "US", "MailingCountry": "United States"}
WA = {"MailingStateCode": "WA", "MailingState": "Washington"}


@pytest.mark.parametrize(
    ("changes", "now", "ways", "shown", "expected"),
    [
        pytest.param({"Title": "Dr"}, MAREN, WAYS, {}, {"title": "Dr"}, id="only what was edited"),
        pytest.param(
            {"LastName": "Sarkisian"},
            CHER,
            WAYS,
            {},
            {"first_name": None, "last_name": "Sarkisian"},
            id="the lone first name was shown as the last: it gives way",
        ),
        pytest.param(
            {"FirstName": "Anna"},
            CHER,
            WAYS,
            {},
            {"first_name": "Anna", "last_name": "Cher"},
            id="the lone first name was shown as the last: it becomes it",
        ),
        pytest.param(
            {"Lightspeed_Company__c": None},
            ACME,
            WAYS,
            {},
            {"company": None, "first_name": None, "last_name": "Acme"},
            id="the company was shown as the last name: it becomes it",
        ),
        pytest.param(
            {"Email": "new@example.com"},
            ONLY_SECOND,
            WAYS,
            {},
            {"email": "new@example.com", "secondary_email": None},
            id="the secondary e-mail was shown as the first: it does not come back as the second",
        ),
        pytest.param(
            {"Lightspeed_Secondary_Email__c": "two@example.com"},
            ONLY_SECOND,
            WAYS,
            {},
            {"email": "roe@example.com", "secondary_email": "two@example.com"},
            id="the secondary e-mail was shown as the first: a second one does not overwrite it",
        ),
        pytest.param(
            {"MailingState": "california"},
            MAREN,
            WAYS,
            {"MailingCountry": "USA"},
            {"state": "california", "state_code": "CA"},
            id="a state's letters come with its name",
        ),
        pytest.param(
            {"MailingState": "Bavaria"},
            MAREN,
            WAYS,
            {"MailingCountry": "Germany"},
            {"state": "Bavaria", "state_code": None},
            id="unknown letters are cleared, not left behind",
        ),
        pytest.param(
            {"MailingStateCode": "WA"},
            MAREN,
            CODED_WAYS,
            US | WA,
            {"state": "Washington", "state_code": "WA"},
            id="a state's name is the one that the CRM shows",
        ),
        pytest.param(
            {"MailingStateCode": "TX"},
            MAREN,
            CODED_WAYS,
            US | WA,
            {"state": "Texas", "state_code": "TX"},
            id="the CRM shows another state by now: the name of this one",
        ),
        pytest.param(
            {"MailingCountryCode": "nl"},
            MAREN,
            CODED_WAYS,
            {},
            {"country": "NL", "country_code": "NL"},
            id="without a name the letters are the name",
        ),
        pytest.param(
            {"MailingCountry": "Nederland"},
            MAREN,
            WAYS,
            {},
            {"country": "Nederland", "country_code": "NL"},
            id="a country as people write it",
        ),
        pytest.param(
            {"MailingState": None},
            MAREN,
            WAYS,
            {},
            {"state": None, "state_code": None},
            id="a state is cleared with its letters",
        ),
        pytest.param(
            {"MailingCountry": "Nederland"},
            RINGS,
            WAYS,
            {"MailingCountry": "Nederland"},
            {"country": "Nederland", "country_code": "NL", "mobile_phone": "+15185550142"},
            id="who moves abroad keeps the number",
        ),
        pytest.param(
            {"MailingCountry": None},
            RINGS,
            WAYS,
            {},
            {"country": None, "country_code": None, "mobile_phone": "+15185550142"},
            id="who has no country any more keeps it too",
        ),
        pytest.param(
            {"Phone": "020 555 0143"},
            RINGS,
            WAYS,
            {"MailingCountry": "Nederland"},
            {"work_phone": "+31205550143"},
            id="a number is meant as dialled where the CRM says the person lives",
        ),
        pytest.param(
            {"MailingStreet": "2 Hill\nAtlantis"},
            LOST,
            CODED_WAYS,
            {},
            {"street": "2 Hill"},
            id="a country that we had put on the street stays off it",
        ),
        pytest.param(
            {"MailingStreet": "2 Hill\nAtlantis"},
            LOST,
            WAYS,
            {},
            {"street": "2 Hill\nAtlantis"},
            id="in an org of free text it belongs to the street",
        ),
    ],
)
def test_what_an_edit_writes(changes, now, ways, shown, expected):
    assert (expected, {}) == pull(changes, now, ways, shown)


def test_the_last_name_goes_where_another_name_is_left():
    assert ({"last_name": None}, {}) == pull({"LastName": None})


def test_the_last_name_stays_where_nothing_else_names_the_person():
    slots, refused = pull({"LastName": "", "FirstName": None, "Title": "Dr"})

    assert {"title": "Dr"} == slots
    assert {"LastName", "FirstName"} == set(refused)
    assert "needs a name" in refused["LastName"]


def test_a_refused_field_holds_none_of_the_others_back():
    slots, refused = pull({"FirstName": "\x07", "MailingCity": "Albany", "Lightspeed_Note__c": "vip"})

    assert {"city": "Albany"} == slots
    assert {
        "FirstName": "it holds control characters",
        "Lightspeed_Note__c": "the field map has no way back for it",
    } == refused


# --- a new customer ------------------------------------------------------------------------------

NOBODY_OPTED_OUT = {"no_email": False, "no_phone": False, "no_mail": False}


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        pytest.param(
            {"LastName": "Roe", "Phone": "518 555 0142"},
            NOBODY_OPTED_OUT | {"last_name": "Roe", "work_phone": "518 555 0142"},
            id="nobody is opted out by silence",
        ),
        pytest.param(
            {"LastName": "Roe", "HasOptedOutOfEmail": "true", "DoNotCall": "false"},
            NOBODY_OPTED_OUT | {"last_name": "Roe", "no_email": True},
            id="who opted out in the CRM stays so",
        ),
        pytest.param(
            {"Lightspeed_Company__c": "Acme"},
            NOBODY_OPTED_OUT | {"company": "Acme"},
            id="a company is a name",
        ),
        pytest.param(
            {"LastName": "Roe", "MailingState": "NY", "MailingCountry": "USA", "Lightspeed_Tags__c": "vip"},
            NOBODY_OPTED_OUT
            | {
                "last_name": "Roe",
                "state": "NY",
                "state_code": "NY",
                "country": "USA",
                "country_code": "US",
            },
            id="places with their letters, and nothing that has no way back",
        ),
    ],
)
def test_a_new_customer(shown, expected):
    found = new_customer(shown, WAYS, zone=ZONE, region=None)

    assert (expected, {}) == (found.slots, found.refused)


def test_somebody_without_a_name_cannot_be_created():
    found = new_customer({"Email": "roe@example.com"}, WAYS, zone=ZONE, region=None)

    assert {} == found.slots
    assert ["LastName"] == list(found.refused)


# --- there and back ------------------------------------------------------------------------------


def written(customer, slots):
    """Write slots of a customer as the till does: one number and one e-mail a use, one address."""
    emails = {each.use: each.address for each in customer.emails}
    phones = {each.use: each.number for each in customer.phones}
    address = msgspec.structs.asdict(customer.address or Address())
    plain = {}
    for slot, value in slots.items():
        if slot in {"email", "secondary_email"}:
            emails["primary" if slot == "email" else "secondary"] = value
        elif slot.endswith("_phone") and slot != "no_phone":
            phones[slot.removesuffix("_phone")] = value
        elif slot == "street":
            address["street"], _, address["street2"] = (value or "").partition("\n")
        elif slot in address:
            address[slot] = value
        else:
            plain["birth_midnight" if slot == "birth_date" else slot] = value
    return msgspec.structs.replace(
        customer,
        emails=tuple(Email(use, each) for use, each in emails.items() if each),
        phones=tuple(Phone(use, each) for use, each in phones.items() if each),
        address=Address(**address),
        **plain,
    )


def shown_of(customer, facts):
    """Return what the CRM shows of a customer who was pushed there."""
    payload, _ = fit(CONTACT(customer_facts(customer, [ZONE], "US")), facts)
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in payload.items()
        if value is not None and name != "Lightspeed_Customer_Key__c"
    }


NAMES = st.sampled_from((None, "Ana", "Bo", "Cy"))
PLACES = st.sampled_from(
    (
        None,
        Address(street="1 Hill", street2="Apt 2", city="Albany", state="New York", country="USA"),
        Address(street="1 Hill", state="New York", state_code="NY", country="USA", country_code="US"),
        Address(street="1 Hill", country="Atlantis"),
        Address(state_code="NY", country_code="US"),
    )
)


@st.composite
def customers(draw):
    mail = st.sampled_from((None, "a@example.com", "b@example.com"))
    emails = [("primary", draw(mail)), ("secondary", draw(mail))]
    return Customer(
        id="5",
        first_name=draw(NAMES),
        last_name=draw(NAMES),
        company=draw(NAMES),
        emails=tuple(Email(use, address) for use, address in emails if address),
        phones=(Phone("mobile", "518 555 0142"),) if draw(st.booleans()) else (),
        address=draw(PLACES),
        no_email=draw(st.booleans()),
        birth_midnight=draw(st.sampled_from((None, datetime(1984, 7, 2, 22, tzinfo=UTC)))),
    )


EDITS = {
    "FirstName": ("Dee", None),
    "LastName": ("Eve",),
    "Title": ("Dr", None),
    "Lightspeed_Company__c": ("Acme", None),
    "Email": ("new@example.com", None),
    "Lightspeed_Secondary_Email__c": ("two@example.com", None),
    "MobilePhone": ("+15185550143", None),
    "Phone": ("+15185550144", None),
    "Birthdate": ("1990-01-31", None),
    "MailingStreet": ("2 Hill\nApt 3", "2 Hill", None),
    "MailingCity": ("Troy", None),
    "MailingPostalCode": ("12180", None),
    "HasOptedOutOfEmail": ("true", "false"),
}
FREE_EDITS = EDITS | {"MailingState": ("Texas", "Bavaria", None), "MailingCountry": ("Nederland", None)}
CODED_EDITS = EDITS | {"MailingStateCode": ("TX",), "MailingCountryCode": ("CA",)}


@pytest.mark.parametrize(
    ("facts", "ways", "edits"),
    [(FREE, WAYS, FREE_EDITS), (CODED, CODED_WAYS, CODED_EDITS)],
    ids=["free text", "lists of states and countries"],
)
@given(data=st.data())
def test_an_edit_comes_back_as_it_was_made_and_moves_nothing_else(facts, ways, edits, data):
    """Whatever the till holds and whatever is edited: pushed again, the CRM shows what it shows."""
    customer = data.draw(customers())
    chosen = data.draw(st.lists(st.sampled_from(sorted(edits)), min_size=1, max_size=3, unique=True))
    changes = {name: data.draw(st.sampled_from(edits[name])) for name in chosen}
    before = shown_of(customer, facts)
    # What the org's lists do not know is shown on the street, which no edit of the street can undo.
    assume(before.get("MailingStreet") == shown_of(customer, FREE).get("MailingStreet"))
    wanted = {name: value for name, value in (before | changes).items() if value is not None}
    # The till shows its second e-mail as the first where it has no other: no slot can say otherwise.
    assume("Email" in wanted or "Lightspeed_Secondary_Email__c" not in wanted)
    # In an org of lists a state is one of its country.
    assume(facts is FREE or "MailingStateCode" not in wanted or wanted.get("MailingCountryCode") == "US")

    found = pulled(changes, ways, customer, wanted, zone=ZONE, region="US")
    after = shown_of(written(customer, found.slots), facts)

    assert {} == found.refused
    assert not nameless(written(customer, found.slots)) or nameless(customer)
    different = {
        name: (wanted.get(name), after.get(name))
        for name in wanted.keys() | after.keys()
        if not comparison("string", ways[name].slot if name in ways else None, "US")(
            wanted.get(name), after.get(name)
        )
    }
    assert {} == different
