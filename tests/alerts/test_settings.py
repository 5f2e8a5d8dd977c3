"""What `[alerts]` takes, and how it says what is wrong."""

import pytest

from tillbridge.model.errors import ConfigurationInvalid

MAIL = 'email_to = ["a@shop.example"]\nemail_from = "t@shop.example"\nsmtp_host = "smtp.shop.example"\n'
IN_THE_CLEAR = (
    'smtp_security = "none" is accepted for this machine only (127.0.0.1, localhost); use "starttls" or "tls"'
)


@pytest.mark.parametrize(
    ("alerts", "expected"),
    [
        pytest.param(
            'email_to = ["a@shop.example"]',
            ("alerts", "email_to also needs email_from and smtp_host"),
            id="mail without a server",
        ),
        pytest.param(
            'email_to = ["Anna <a@shop.example>"]',
            ("alerts.email_to.0", "must be a bare e-mail address such as shop@example.com"),
            id="an address with a name",
        ),
        pytest.param(
            MAIL + 'smtp_security = "none"',
            (
                "alerts",
                IN_THE_CLEAR,
            ),
            id="mail in the clear",
        ),
        pytest.param(
            MAIL + 'smtp_user = "t"',
            ("alerts", "smtp_user and smtp_password go together"),
            id="a user without a password",
        ),
        pytest.param(
            MAIL + "smtp_port = 70000",
            ("alerts.smtp_port", "input should be less than or equal to 65535"),
            id="no such port",
        ),
        pytest.param(
            'slack_webhook_url = "http://hooks.slack.com/hidden"',
            (
                "alerts.slack_webhook_url",
                "plain http is accepted for this machine only (127.0.0.1, localhost); use https",
            ),
            id="a webhook in the clear",
        ),
        pytest.param(
            'slack_webhook_url = "hidden"',
            (
                "alerts.slack_webhook_url",
                "must be an address such as https://hooks.slack.com/services/…",
            ),
            id="no address at all",
        ),
        pytest.param(
            'apprise_urls = ["hidden"]',
            ("alerts.apprise_urls.0", "must be an address as Apprise writes them, such as ntfy://topic"),
            id="nothing that Apprise knows",
        ),
        pytest.param(
            'slack_webhook = "x"',
            ("alerts.slack_webhook", "is not a setting; did you mean slack_webhook_url?"),
            id="a slip of the pen",
        ),
    ],
)
def test_a_wrong_setting(home, alerts, expected):
    with pytest.raises(ConfigurationInvalid) as refused:
        home.configure(alerts)

    assert [expected] == refused.value.mistakes


@pytest.mark.parametrize(("security", "port"), [("starttls", 587), ("tls", 465)])
def test_the_port_follows_from_the_security(home, security, port):
    home.configure(MAIL + f'smtp_security = "{security}"')

    assert port == home.parts.config.alerts.port


def test_secrets_do_not_show(home):
    home.configure(
        MAIL
        + 'smtp_user = "t"\nsmtp_password = "hidden"\nslack_webhook_url = "https://hooks.slack.com/hidden"\n'
        + 'apprise_urls = ["ntfy://hidden"]'
    )

    assert "hidden" not in repr(home.parts.config)
