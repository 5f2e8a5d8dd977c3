"""The words: what happened, to which record, what the target said, what to change, where to look."""

import pytest

from tillbridge.alerts.messages import Places, Stopped, as_html, as_text, one_line, said, span, word
from tillbridge.alerts.plan import (
    Digest,
    Disagrees,
    GaveUp,
    HeldBack,
    InTimeAgain,
    Late,
    MoreCauses,
    NewCause,
    NotProven,
    Recovered,
    Silent,
)
from tillbridge.store.days import HeldUp, StoreDay
from tillbridge.store.notices import Cause, Example, Pulse
from tillbridge.sync.freshness import Burning

CONSOLE = Places("https://console.example", "https://shop.my.salesforce.example")
ORG = Places(None, "https://shop.my.salesforce.example")
SINCE = 1_795_186_800.0  # 2026-11-20 15:00 UTC


def example(number=1, **more):
    given = {
        "problem": number,
        "kind": "sale",
        "till_id": str(1000 + number),
        "message": "Rings need a size.",
        "payload": {"Ticket_Number__c": f"22000000{number}"},
    }
    return Example(**{**given, **more})


def cause(*examples, **more):
    given = {
        "cause": "FIELD_CUSTOM_VALIDATION_EXCEPTION:Sales_Transaction__c:Type__c:0a1b2c3d",
        "object": "Sales_Transaction__c",
        "code": "FIELD_CUSTOM_VALIDATION_EXCEPTION",
        "fields": ("Type__c",),
        "count": len(examples) or 1,
        "first_at": SINCE,
        "last_at": SINCE,
        "examples": examples or (example(),),
    }
    return Cause(**{**given, **more})


NEW = """\
Salesforce refused 167 sales. Everything else goes on.

Salesforce said: Rings need a size.
Field: Type__c
What to change: A validation rule of the org refused the values: correct them in the till, or exempt the \
custom permission Tillbridge_Bypass in the rule.

"""


def test_a_new_cause():
    message = word(NewCause(cause(example(1), example(2, crm_id="a01XX"), count=167)), ORG)

    assert "Tillbridge: 167 sales refused (FIELD_CUSTOM_VALIDATION_EXCEPTION)" == message.subject
    assert (
        NEW
        + """\
receipt 220000001 (sale 1001): tillbridge problems show 1
receipt 220000002 (sale 1002): https://shop.my.salesforce.example/a01XX
All of them: tillbridge problems --cause \
FIELD_CUSTOM_VALIDATION_EXCEPTION:Sales_Transaction__c:Type__c:0a1b2c3d
"""
        == as_text(message)
    )


def test_a_console_is_where_links_lead_when_there_is_one():
    text = as_text(word(NewCause(cause(example(7, crm_id="a01XX"), count=2)), CONSOLE))

    assert "receipt 220000007 (sale 1007): https://console.example/problems/7\n" in text
    assert (
        "https://console.example/problems?cause=FIELD_CUSTOM_VALIDATION_EXCEPTION%3ASales_Transaction__c"
        in text
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param({}, "receipt 220000001 (sale 1001)", id="a receipt by its ticket number"),
        pytest.param({"payload": {}}, "sale 1001", id="a sale without a ticket number by its id"),
        pytest.param(
            {"kind": "line", "till_id": "5", "sale": "1001", "payload": {}},
            "line 5 of sale 1001",
            id="a line with its sale",
        ),
        pytest.param(
            {"kind": "payment", "till_id": "6", "sale": "1001", "payload": {}},
            "payment 6 of sale 1001",
            id="a payment with its sale",
        ),
        pytest.param(
            {"kind": "customer", "till_id": "77", "payload": {"FirstName": "Anna", "LastName": "Bergmann"}},
            "customer 77",
            id="a person by the customer's id, never by name",
        ),
        pytest.param({"kind": "stock", "till_id": "9-1", "payload": {}}, "stock 9-1", id="a stock level"),
    ],
)
def test_a_record_is_named_by_numbers(given, expected):
    text = as_text(word(NewCause(cause(example(**given))), ORG))

    assert f"\n{expected}: tillbridge problems show 1\n" in text


PERSON = {
    "FirstName": "Anna Lena",
    "LastName": "Bergmann",
    "PersonEmail": "anna@example.com",
    "PersonMobilePhone": "+12125550143",
    "Address": {"Street": "12 Hill Road"},
    "Level__c": "Platinum",
}


@pytest.mark.parametrize(
    ("code", "kind", "message", "expected"),
    [
        pytest.param("X", "sale", "Rings need a size.", "Rings need a size.", id="a rule's own words stay"),
        pytest.param(
            "X", "customer", "Anna Lena Bergmann may not buy", "… … may not buy", id="a person's name goes"
        ),
        pytest.param("X", "customer", "ask anna, or BERGMANN", "ask …, or …", id="in whatever letters"),
        pytest.param(
            "X", "customer", "12 Hill Road is no street", "… is no street", id="a person's street goes"
        ),
        pytest.param(
            "X", "sale", "write to someone.else@example.com", "write to …", id="an address of anybody goes"
        ),
        pytest.param(
            "X", "sale", "call +1 212 555 0199 now", "call … now", id="an international number goes"
        ),
        pytest.param("X", "sale", "call (212) 555-0199 now", "call … now", id="a national number goes"),
        pytest.param(
            "X",
            "sale",
            "sale 220000004711 of 2026-11-20",
            "sale 220000004711 of 2026-11-20",
            id="ids and dates stay",
        ),
        pytest.param(
            "STRING_TOO_LONG",
            "customer",
            "Name: data value too large: Bergm: (max length=3) Annal (max length=80)",
            "Name: data value too large: … (max length=80)",
            id="a value that is repeated cut short goes",
        ),
        pytest.param(
            "INVALID_EMAIL_ADDRESS",
            "customer",
            "Email: invalid email address: anna at home",
            "Email: invalid email address: …",
            id="what was no address goes too",
        ),
        pytest.param(
            "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
            "customer",
            "Level: bad value for restricted picklist field: Platinum",
            "Level: bad value for restricted picklist field: Platinum",
            id="the value that a picklist lacks stays",
        ),
        pytest.param(
            "X", "sale", "token eyJhbGci.eyJzdWIi.abc and Bearer abc.def", "token … and …", id="tokens go"
        ),
        pytest.param(
            "X", "sale", "a\r\nBcc: all\x1b[2J\u202eb", "a Bcc: all [2J b", id="control characters go"
        ),
        pytest.param("X", "sale", "x" * 5_000, "x" * 399 + "…", id="what is too long is cut"),
        pytest.param(
            "X", "sale", "\x00\x01", "nothing that could be shown", id="nothing is said to be nothing"
        ),
    ],
)
def test_what_the_target_said(code, kind, message, expected):
    whose = example(kind=kind, message=message, payload=PERSON if kind == "customer" else {})

    assert expected == said(whose, cause(code=code, fields=("Level__c",)))


def test_the_note_on_a_receipt_is_not_repeated():
    noted = example(message="Notes: too long: Ring for Anna", payload={"Notes__c": "Ring for Anna"})

    assert "Notes: too long: …" == said(noted, cause())


HOSTILE = '<script>alert(1)</script>" onmouseover="x" & \r\nSubject: hello'


@pytest.fixture
def hostile():
    whose = example(till_id=HOSTILE, message=HOSTILE, crm_id=HOSTILE, payload={"Ticket_Number__c": HOSTILE})
    return word(NewCause(cause(whose, code=HOSTILE, fields=(HOSTILE,), cause=HOSTILE, count=9)), ORG)


def test_nothing_breaks_out_of_the_html(hostile):
    page = as_html(hostile)

    assert "<script" not in page
    assert 'onmouseover="' not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_nothing_breaks_out_of_the_subject_or_of_a_line(hostile):
    assert 1 == len(one_line(hostile.subject).splitlines())
    assert "\nSubject:" not in as_text(hostile)


def test_both_faces_of_a_message_say_the_same():
    message = word(NewCause(cause(example(1), example(2, crm_id="a01XX"), count=167)), ORG)
    page = as_html(message)

    assert "<p>Salesforce refused 167 sales. Everything else goes on.</p>" in page
    assert "<b>Salesforce said:</b> Rings need a size." in page
    assert '<a href="https://shop.my.salesforce.example/a01XX">receipt 220000002 (sale 1002)</a>' in page
    assert "<code>tillbridge problems show 1</code>" in page


def test_giving_up():
    message = word(GaveUp(cause(example(1), example(2), count=5, gave_up=(2,)), (2,)), ORG)
    text = as_text(message)

    assert "Tillbridge: gave up 1 sale (FIELD_CUSTOM_VALIDATION_EXCEPTION)" == message.subject
    assert text.startswith("1 sale was refused too often and is no longer tried again.\n")
    assert "This is the last message about them." in text
    assert "receipt 220000002 (sale 1002): tillbridge problems show 2" in text
    assert "220000001" not in text


def test_the_first_message_of_a_cause_tells_of_giving_up():
    text = as_text(word(NewCause(cause(count=5, gave_up=(1, 2))), ORG))

    assert "2 of them were refused too often and are no longer tried again." in text


def test_a_digest_counts_and_names_the_newest():
    other = cause(
        example(9, kind="customer", till_id="77", payload={}), code="INVALID_EMAIL_ADDRESS", fields=("Email",)
    )
    message = word(Digest((cause(example(3), count=1_200), other)), ORG)
    text = as_text(message)

    assert "Tillbridge: still open: 1,201 records refused for 2 causes" == message.subject
    assert "FIELD_CUSTOM_VALIDATION_EXCEPTION: 1,200 sales, since 2026-11-20 15:00 UTC\n" in text
    assert "receipt 220000003 (sale 1003): tillbridge problems show 3" in text
    assert "INVALID_EMAIL_ADDRESS: 1 customer, since 2026-11-20 15:00 UTC\n" in text
    assert "What to change: Correct the e-mail address in the till." in text
    assert text.endswith("\n\nWhere it stands: tillbridge status\n")


def test_a_long_list_ends_with_how_many_more():
    text = as_text(word(MoreCauses(tuple(cause() for _ in range(30))), ORG))

    assert 25 == text.count("Salesforce said:")
    assert "And 5 more causes." in text


PULSES = (Pulse("sales", SINCE, 60), Pulse("stock", SINCE, 3_600))


def test_silence():
    stopped = Stopped("Lightspeed answered 503 to Sale", "Lightspeed")
    message = word(Silent(PULSES), ORG, last_outcome="remote_down", stopped=stopped)

    assert "Tillbridge: no news of sales and stock from Lightspeed" == message.subject
    assert """\
Lightspeed has not been read with success for too long: sales and stock.
sales: last read 2026-11-20 15:00 UTC; planned every 1 minute
stock: last read 2026-11-20 15:00 UTC; planned every 1 hour

What stood in the way: Lightspeed answered 503 to Sale
Nothing is lost: what changed meanwhile is read when it works again.
What to change: `tillbridge doctor` says what stands in the way.

Where it stands: tillbridge status
""" == as_text(message)


def test_silence_names_the_side_that_is_down():
    why = "Salesforce could not be served for now (HTTP 503), access_token=abc"
    message = word(Silent(PULSES), ORG, last_outcome="remote_down", stopped=Stopped(why, "Salesforce"))
    text = as_text(message)

    assert "Tillbridge: nothing reaches Salesforce (sales and stock)" == message.subject
    assert "no run could bring anything to Salesforce" in text
    assert "What stood in the way: Salesforce could not be served for now (HTTP 503), access_token=…" in text


def test_silence_whose_side_is_not_known_blames_nobody():
    message = word(Silent(PULSES), ORG, last_outcome="halted")
    assert "Tillbridge: no news of sales and stock" == message.subject
    assert "The last run stopped and needs a person." in as_text(message)
    assert "Lightspeed" not in as_text(message)


def test_recovery():
    message = word(Recovered((Pulse("sales", SINCE, 60),)), CONSOLE)

    assert "Tillbridge: sales is read again" == message.subject
    assert "sales: read again since 2026-11-20 15:00 UTC" in as_text(message)
    assert "Where it stands: https://console.example" in as_text(message)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(60, "1 minute"), (120, "2 minutes"), (3_600, "1 hour"), (90, "90 seconds"), (7_200, "2 hours")],
)
def test_a_span_is_written_in_its_largest_whole_unit(seconds, expected):
    assert expected == span(seconds)


# --- certificates -------------------------------------------------------------------------------------


def test_a_store_day_that_differs_names_the_day_the_reasons_and_the_commands():
    found = StoreDay(
        store="2", day="2026-11-20", certificate=41, figures=3, reasons={"void": 1, "late": 2}, found_at=SINCE
    )
    message = word(Disagrees(found), ORG)
    assert "Tillbridge: store 2 does not agree on 2026-11-20 (3 receipts)" == message.subject
    text = as_text(message)
    for words in (
        "finds 3 figures and 3 receipts that differ between Lightspeed and Salesforce",
        "Reasons: late 2, void 1",
        "tillbridge certify --show 41",
        "tillbridge certify --day 2026-11-20 --repair",
    ):
        assert words in text


def test_a_certificate_that_cannot_be_made_says_since_when_and_why():
    text = as_text(word(NotProven(HeldUp(SINCE, "The org has used up its API calls")), ORG))
    assert "Since 2026-11-20 15:00 UTC" in text
    assert "What stands in the way: The org has used up its API calls" in text


def test_what_was_held_back_names_the_plan_and_nobody():
    message = word(HeldBack(3, 12, ("first_till_write", "many_changes")), ORG)

    assert "Tillbridge: changes of 12 customers wait for you" == message.subject
    assert """\
Changes of 12 customers were held back and not written. Everything else goes on.
Why: first till write, many changes

Look at them: tillbridge plans show 3
Let them pass: tillbridge approve 3
""" == as_text(message)


def test_late_receipts_are_told_with_where_the_time_went():
    burning = Burning(kind="sale", late=9, of=20, hours=1.0, seconds=120.0, share=0.95, stage="seen")
    message = word(Late(burning), ORG)

    assert "Tillbridge: receipts reach Salesforce late" == message.subject
    assert """\
Within 1 hour, 9 of 20 receipts came later than promised (95 % within 2 minutes).
Nothing is lost, and nothing has to be sent again.

Where: Most of the time passed before the till was read: `tillbridge jobs` shows how often it is, and what \
it waits for.

Where it stands: tillbridge status
""" == as_text(message)


def test_their_end_is_told_too():
    assert "No more receipts come too late." in as_text(word(InTimeAgain("sale"), ORG))
