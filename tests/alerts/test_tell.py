"""Telling at the end of a run: 500 failures of 3 causes are 3 mails, and what failed is told next time."""

import sqlalchemy as sa

from tillbridge.alerts import INSTANCE, Told, tell
from tillbridge.store import schema


def told(home):
    return tell(home.parts, home.clock.now())


def many(refusal, count=500):
    return [refusal(number, cause="ABC"[number % 3]) for number in range(count)]


def give_up(home, *ids):
    with home.parts.state.begin() as c:
        c.execute(sa.update(schema.problem).where(schema.problem.c.till_id.in_(ids)).values(state="gave_up"))


def test_500_failures_of_3_causes_are_3_mails(by_mail, office, refusal):
    by_mail.refuse(*many(refusal))

    assert Told(3) == told(by_mail)
    assert [
        "Tillbridge: 167 sales refused (REQUIRED_FIELD_MISSING)",
        "Tillbridge: 167 sales refused (REQUIRED_FIELD_MISSING)",
        "Tillbridge: 166 sales refused (REQUIRED_FIELD_MISSING)",
    ] == office.subjects
    assert ["A", "B", "C"] == [text.split("Field: ")[1][0] for text in office.texts()]


def test_nobody_is_told_twice(by_mail, office, refusal):
    by_mail.refuse(*many(refusal))
    told(by_mail)
    by_mail.wait(minutes=5)
    by_mail.refuse(*many(refusal, 600))

    assert Told(0) == told(by_mail)
    assert 3 == len(office.mails)


def test_after_six_hours_one_digest_holds_what_is_still_open(by_mail, office, refusal):
    by_mail.refuse(*many(refusal))
    told(by_mail)
    by_mail.accept(*(("sale", str(number)) for number in range(2, 500, 3)))
    by_mail.wait(hours=6)

    assert Told(1) == told(by_mail)
    assert Told(0) == told(by_mail)
    assert "Tillbridge: still open: 334 records refused for 2 causes" == office.subjects[-1]
    assert "[C]" not in office.texts()[-1]


def test_when_all_is_well_nobody_hears_anything(by_mail, office, refusal):
    by_mail.refuse(refusal(1))
    told(by_mail)
    by_mail.accept(("sale", "1"))
    by_mail.wait(hours=7)

    assert Told(0) == told(by_mail)


def test_a_cause_that_comes_back_after_long_is_news(by_mail, office, refusal):
    by_mail.refuse(refusal(1))
    told(by_mail)
    by_mail.accept(("sale", "1"))
    by_mail.wait(hours=7)
    told(by_mail)
    by_mail.refuse(refusal(2))

    assert Told(1) == told(by_mail)
    assert "Tillbridge: 1 sale refused (REQUIRED_FIELD_MISSING)" == office.subjects[-1]


def test_giving_up_is_told_once_and_again_after_a_revival(by_mail, office, refusal):
    by_mail.refuse(refusal(1), refusal(2))
    told(by_mail)
    give_up(by_mail, "1")

    assert [Told(1), Told(0)] == [told(by_mail), told(by_mail)]
    assert "Tillbridge: gave up 1 sale (REQUIRED_FIELD_MISSING)" == office.subjects[-1]
    assert "receipt 22000001 (sale 1): tillbridge problems show 1" in office.texts()[-1]

    with by_mail.parts.state.begin() as c:
        c.execute(sa.update(schema.problem).values(state="retrying"))
    told(by_mail)
    give_up(by_mail, "1")
    assert Told(1) == told(by_mail)


def test_a_stream_that_is_not_read_for_three_intervals_and_then_again(by_mail, office):
    by_mail.polled("sales", every=60.0)
    by_mail.wait(seconds=180)
    assert Told(0) == told(by_mail)

    by_mail.wait(seconds=1)
    assert [Told(1), Told(0)] == [told(by_mail), told(by_mail)]

    by_mail.polled("sales", every=60.0)
    assert [Told(1), Told(0)] == [told(by_mail), told(by_mail)]
    assert [
        "Tillbridge: no news of sales",
        "Tillbridge: sales is read again",
    ] == office.subjects


def test_a_link_leads_into_the_org_that_was_last_seen(by_mail, office, refusal):
    with by_mail.parts.state.begin() as c:
        by_mail.parts.state.keep(c, INSTANCE, "https://shop.my.salesforce.example")
        values = {"kind": "sale", "till_id": "1", "crm_id": "a01XX", "state": "problem", "moved_at": 0.0}
        c.execute(sa.insert(schema.record).values(values))
    by_mail.refuse(
        refusal(1), refusal(5, kind="line", sale="1", payload={}, object="Sales_Transaction_Line__c")
    )
    told(by_mail)

    (text,) = office.texts()
    assert "receipt 22000001 (sale 1): https://shop.my.salesforce.example/a01XX" in text
    assert "line 5 of sale 1: https://shop.my.salesforce.example/a01XX" in text


def test_no_person_is_named_and_no_secret_told(by_mail, office, refusal):
    person = {"FirstName": "Anna", "LastName": "Bergmann", "PersonEmail": "anna@example.com"}
    by_mail.refuse(
        refusal(7, kind="customer", payload=person, message="Anna Bergmann <anna@example.com> is barred")
    )
    told(by_mail)

    (whole,) = [mail.as_string() for mail in office.mails]
    assert [] == [word for word in ("Anna", "Bergmann", "anna@", "demo-secret") if word in whole]
    assert "customer 7" in whole


# --- what goes wrong -----------------------------------------------------------------------------


def test_a_server_that_dies_midway_tells_the_rest_at_the_next_run(by_mail, office, refusal):
    office.dies_after = 1
    by_mail.refuse(*many(refusal))
    first = told(by_mail)
    office.dies_after = None

    assert 1 == first.sent
    assert 1 == len(first.failed)
    assert "hung up before it was done" in first.failed[0]
    assert [Told(2), Told(0)] == [told(by_mail), told(by_mail)]
    assert ["A", "B", "C"] == [text.split("Field: ")[1][0] for text in office.texts()]


def test_a_refused_recipient_hears_it_later_and_the_others_only_once(home, office, refusal):
    home.alerts(
        email_to=["a@shop.example", "b@shop.example"],
        email_from="tillbridge@shop.example",
        smtp_host="127.0.0.1",
        smtp_port=office.port,
        smtp_security="none",
    )
    home.refuse(*many(refusal))
    office.refused = {"b@shop.example"}
    first = told(home)
    office.refused = set()

    assert (3, 1) == (first.sent, len(first.failed))
    assert [Told(3), Told(0)] == [told(home), told(home)]
    assert ["a@shop.example"] * 3 + ["b@shop.example"] * 3 == [mail["To"] for mail in office.mails]


def test_one_message_that_is_refused_does_not_hold_up_the_others(by_mail, office, refusal):
    office.refused_subjects = {"Tillbridge: 166 sales refused (REQUIRED_FIELD_MISSING)"}
    by_mail.refuse(*many(refusal))
    by_mail.polled("sales")
    by_mail.wait(minutes=10)
    first = told(by_mail)
    office.refused_subjects = set()

    assert (3, 1) == (first.sent, len(first.failed))
    assert Told(1) == told(by_mail)


def test_a_channel_that_is_down_does_not_keep_another_from_its_messages(home, webhook, closed_port, refusal):
    home.alerts(
        email_to=["a@shop.example"],
        email_from="tillbridge@shop.example",
        smtp_host="127.0.0.1",
        smtp_port=closed_port,
        smtp_security="none",
        slack_webhook_url=webhook.url,
    )
    home.refuse(*many(refusal))
    first, second = told(home), told(home)

    assert (3, 0) == (first.sent, second.sent)
    assert first.failed == second.failed
    assert 3 == len(webhook.posts)


def test_slack_that_is_busy_is_told_the_rest_at_the_next_run(home, webhook, refusal):
    home.alerts(slack_webhook_url=webhook.url)
    webhook.answers = [(200, "ok"), (429, "rate_limited")]
    home.refuse(*many(refusal))

    assert Told(1, ("Slack takes no message at the moment (429 rate_limited)",)) == told(home)
    assert [Told(2), Told(0)] == [told(home), told(home)]
    assert 3 == len(webhook.posts)


def test_without_a_channel_nothing_is_told_and_nothing_forgotten(home, webhook, refusal):
    home.alerts()
    home.refuse(*many(refusal))
    assert Told() == told(home)

    home.alerts(slack_webhook_url=webhook.url)
    assert Told(3) == told(home)
