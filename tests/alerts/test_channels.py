"""Channels against real servers on loopback: taken or not, in the right words, and nothing told twice."""

import pytest

from tillbridge.alerts import try_out
from tillbridge.alerts.channels import ChannelFailed, open_channels, slack_escaped
from tillbridge.alerts.messages import Line, Message
from tillbridge.config import Alerts

PASSWORD = "correct horse battery"


def settings(**more):
    return Alerts.model_validate(
        {
            "email_to": ["ops@shop.example"],
            "email_from": "tillbridge@shop.example",
            "smtp_host": "127.0.0.1",
            "smtp_security": "none",
            **more,
        }
    )


def mistakes(alerts, now):
    return [tried.mistake for tried in try_out(alerts, now)]


@pytest.fixture
def now(home):
    return home.clock.now()


@pytest.mark.parametrize("security", ["none", "starttls", "tls"])
@pytest.mark.parametrize("login", [False, True], ids=["without a login", "with a login"])
def test_a_mail_is_taken(open_office, trusted, now, security, login):
    office = open_office(security, login=login)
    who = {"smtp_user": "shop", "smtp_password": PASSWORD} if login else {}

    assert [None] == mistakes(settings(smtp_port=office.port, smtp_security=security, **who), now)
    (mail,) = office.mails
    assert ("ops@shop.example", "tillbridge@shop.example", "Tillbridge: a test") == (
        mail["To"],
        mail["From"],
        mail["Subject"],
    )
    assert "auto-generated" == mail["Auto-Submitted"]
    assert now == mail["Date"].datetime
    assert "This is a test" in mail.get_body(("plain",)).get_content()
    assert "<p>This is a test" in mail.get_body(("html",)).get_content()


def test_all_mails_of_a_run_go_over_one_connection(office, now):
    recipients = ["a@shop.example", "b@shop.example", "c@shop.example"]

    assert [None] * 3 == mistakes(settings(smtp_port=office.port, email_to=recipients), now)
    assert recipients == [mail["To"] for mail in office.mails]
    assert 1 == office.connections


def test_a_refused_recipient_does_not_keep_the_others_from_theirs(office, now):
    office.refused = {"b@shop.example"}
    recipients = ["a@shop.example", "b@shop.example", "c@shop.example"]

    first, refused, third = mistakes(settings(smtp_port=office.port, email_to=recipients), now)

    assert (None, None) == (first, third)
    assert refused == (
        f"the mail server 127.0.0.1:{office.port} refused the recipient b@shop.example "
        "(550 5.1.1 no such user): check alerts.email_to"
    )
    assert ["a@shop.example", "c@shop.example"] == [mail["To"] for mail in office.mails]


def test_a_wrong_login(open_office, trusted, now):
    office = open_office("starttls", login=True)
    wrong = settings(
        smtp_port=office.port, smtp_security="starttls", smtp_user="shop", smtp_password="guessed wrongly"
    )

    (mistake,) = mistakes(wrong, now)
    assert mistake.startswith(f"the mail server 127.0.0.1:{office.port} refused the login of shop (535 ")
    assert mistake.endswith("check alerts.smtp_user and alerts.smtp_password")
    assert "guessed" not in mistake


def test_a_login_that_is_missing(open_office, trusted, now):
    office = open_office("starttls", login=True)

    (mistake,) = mistakes(settings(smtp_port=office.port, smtp_security="starttls"), now)
    assert "refused the sender tillbridge@shop.example (530 " in mistake
    assert mistake.endswith("or set alerts.smtp_user and alerts.smtp_password")


def test_a_login_that_nobody_asks_for(office, now):
    (mistake,) = mistakes(settings(smtp_port=office.port, smtp_user="shop", smtp_password=PASSWORD), now)

    assert "takes no login on this port" in mistake


def test_a_certificate_that_is_not_trusted(open_office, now):
    for security in ("starttls", "tls"):
        office = open_office(security)
        (mistake,) = mistakes(settings(smtp_port=office.port, smtp_security=security), now)

        assert mistake.startswith(
            f"the certificate of the mail server 127.0.0.1:{office.port} is not trusted"
        )
        assert [] == office.mails


def test_tls_from_the_start_where_there_is_none(office, now):
    (mistake,) = mistakes(settings(smtp_port=office.port, smtp_security="tls"), now)

    assert "does not speak TLS as expected" in mistake
    assert 'set alerts.smtp_security = "starttls"' in mistake


def test_a_server_without_starttls_gets_nothing_in_the_clear(office, now):
    (mistake,) = mistakes(settings(smtp_port=office.port, smtp_security="starttls"), now)

    assert "offers no STARTTLS, and nothing was sent in the clear" in mistake
    assert [] == office.mails


def test_nobody_listens(closed_port, now):
    (mistake,) = mistakes(settings(smtp_port=closed_port), now)

    assert mistake == (
        f"the mail server 127.0.0.1:{closed_port} could not be reached (Connection refused): "
        "check alerts.smtp_host and alerts.smtp_port"
    )


def test_a_host_that_does_not_exist(now):
    bad = settings(smtp_host="mail.shop.invalid", smtp_security="starttls")

    (mistake,) = mistakes(bad, now)
    assert mistake.startswith("the mail server mail.shop.invalid:587 could not be reached (")
    assert mistake.endswith("check alerts.smtp_host and alerts.smtp_port")


def test_something_else_than_a_mail_server(webhook, now):
    port = int(webhook.url.split(":")[2].split("/")[0])

    (mistake,) = mistakes(settings(smtp_port=port, smtp_security="tls"), now)
    assert "does not speak TLS as expected" in mistake or "hung up before it was done" in mistake


def test_a_server_that_failed_is_not_asked_again_in_the_same_run(office, now):
    office.dies_after = 1
    alerts = settings(smtp_port=office.port, email_to=[f"{name}@shop.example" for name in "abcd"])

    first, *others = mistakes(alerts, now)
    assert first is None
    assert 1 == len(set(others))
    assert f"the mail server 127.0.0.1:{office.port} hung up before it was done" in others[0]
    assert 1 == office.connections


def test_one_message_that_is_refused_is_not_the_end_of_the_channel(office, now):
    office.refused_subjects = {"bad"}
    with open_channels(settings(smtp_port=office.port), now) as (channel,):
        with pytest.raises(ChannelFailed, match="looks like spam") as failed:
            channel.send(Message("bad", ((Line("x"),),)))
        channel.send(Message("good", ((Line("x"),),)))

    assert failed.value.only_this
    assert ["good"] == office.subjects


def test_a_hostile_subject_stays_one_header(office, now):
    with open_channels(settings(smtp_port=office.port), now) as (channel,):
        channel.send(Message("a\r\nBcc: all@shop.example\ud800", ((Line("ü\r\n.\r\n\ud800\x00"),),)))

    (mail,) = office.mails
    assert "a Bcc: all@shop.example" == mail["Subject"]
    assert mail["Bcc"] is None
    assert "ü ." == mail.get_body(("plain",)).get_content().strip()


# --- Slack ---------------------------------------------------------------------------------------


def slack(webhook):
    return Alerts.model_validate({"slack_webhook_url": webhook.url})


def test_slack_takes_a_message(webhook, now):
    assert [None] == mistakes(slack(webhook), now)
    (post,) = webhook.posts
    assert post["text"].startswith("Tillbridge: a test\n\nThis is a test")
    assert post["mrkdwn"] is False


def test_nothing_in_a_message_has_a_meaning_to_slack():
    assert "&lt;!channel&gt; &amp; &lt;https://x|y&gt;" == slack_escaped("<!channel> & <https://x|y>")


@pytest.mark.parametrize(
    ("status", "word", "expected", "only_this"),
    [
        (
            404,
            "no_service",
            "Slack refused the message (404 no_service): check alerts.slack_webhook_url",
            False,
        ),
        (403, "<html>no", "Slack refused the message (403): check alerts.slack_webhook_url", False),
        (400, "invalid_payload", "Slack refused the message (400 invalid_payload): check alerts", True),
        (429, "rate_limited", "Slack takes no message at the moment (429 rate_limited)", False),
        (500, "", "Slack takes no message at the moment (500)", False),
        (302, "", "Slack refused the message (302): check alerts.slack_webhook_url", False),
    ],
)
def test_what_slack_answers(webhook, now, status, word, expected, only_this):
    webhook.answers = [(status, word)]
    with open_channels(slack(webhook), now) as (channel,), pytest.raises(ChannelFailed) as failed:
        channel.send(Message("x", ()))

    assert str(failed.value).startswith(expected)
    assert only_this == failed.value.only_this
    assert "hidden-part" not in str(failed.value)


def test_slack_that_cannot_be_reached(closed_port, now):
    gone = Alerts.model_validate({"slack_webhook_url": f"http://127.0.0.1:{closed_port}/hidden-part"})

    (mistake,) = mistakes(gone, now)
    assert mistake.startswith("Slack: 127.0.0.1 could not be reached: Connection refused; check alerts.")
    assert "hidden-part" not in mistake


# The library's first use loads a hundred plugins, and one of them an old module of Python's own.
of_apprise = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

# --- Apprise -------------------------------------------------------------------------------------


@of_apprise
def test_apprise_carries_a_message(webhook, now):
    url = webhook.url.replace("http://", "json://")

    assert [None] == mistakes(Alerts.model_validate({"apprise_urls": [url]}), now)
    (post,) = webhook.posts
    assert "Tillbridge: a test" == post["title"]
    assert post["message"].startswith("This is a test")


@of_apprise
def test_an_address_that_apprise_does_not_understand(now):
    alerts = Alerts.model_validate({"apprise_urls": ["nosuchservice://hidden-part"]})

    assert ["alerts.apprise_urls[0] is no address that Apprise understands"] == mistakes(alerts, now)


@of_apprise
def test_an_address_that_apprise_cannot_deliver_to(webhook, now, capfd):
    webhook.answers = [(500, "")]
    alerts = Alerts.model_validate({"apprise_urls": [webhook.url.replace("http://", "json://")]})

    assert [
        "alerts.apprise_urls[0] did not take the message: check the address and its credentials"
    ] == mistakes(alerts, now)
    assert "hidden-part" not in "".join(capfd.readouterr())
