"""Carry a message to people: by SMTP, to a Slack webhook, or through Apprise.

`send` returns once the other side has taken the message, and raises
`ChannelFailed` otherwise; what was sent and not confirmed counts as not taken.
Each recipient of mail is a channel of its own, so that one refused address
neither holds up the others nor makes them hear twice. No sentence here repeats
a password or a webhook's address.
"""

from __future__ import annotations

import base64
import contextlib
import importlib
import json
import logging
import re
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from hashlib import blake2b
from typing import Any, Protocol

from tillbridge.alerts.messages import WORD_CHARACTERS_MAX, Message, as_html, as_text, one_line
from tillbridge.config import Alerts
from tillbridge.connectors.http import Http
from tillbridge.model.errors import SyncError

# Mail servers may dawdle over a greeting on purpose; RFC 5321 4.5.3.2 would even grant minutes.
SMTP_SECONDS = 20.0
SLACK_SECONDS = 20.0

# Slack cuts texts behind 40,000 characters: https://api.slack.com/reference/messaging/payload
SLACK_CHARACTERS_MAX = 39_000

# What a webhook answers beside its status is one of Slack's short words; anything else is no news.
_SLACK_WORD = re.compile(r"[a-z_]{1,40}")


class ChannelFailed(SyncError):
    """A message was not taken. `only_this`: the channel works, another message may go through."""

    def __init__(self, message: str, *, only_this: bool = False) -> None:
        super().__init__(message)
        self.only_this = only_this


class Channel(Protocol):
    """One way to people. `key` is what its notices are kept under, `label` how people call it."""

    key: str
    label: str

    def send(self, message: Message) -> None:
        """Have the message taken. Raises ChannelFailed."""


@contextmanager
def open_channels(alerts: Alerts, now: datetime) -> Iterator[list[Channel]]:
    """Return every channel that the configuration names; nothing is connected before something is sent."""
    channels: list[Channel] = []
    post = Post(alerts, now)
    http = Http(total_seconds=SLACK_SECONDS)
    channels += [Mailbox(post, address) for address in alerts.email_to]
    if alerts.slack_webhook_url is not None:
        channels.append(Slack(http, alerts.slack_webhook_url.get_secret_value()))
    channels += [
        Apprise(url.get_secret_value(), number) for number, url in enumerate(alerts.apprise_urls, start=1)
    ]
    try:
        yield channels
    finally:
        post.close()
        http.close()


def _key(kind: str, address: str) -> str:
    """Return a name that stays the same as long as the address does, and does not tell it."""
    return f"{kind} {blake2b(address.encode(), digest_size=8).hexdigest()}"


# --- mail ----------------------------------------------------------------------------------------


class Mailbox:
    """One recipient."""

    def __init__(self, post: Post, address: str) -> None:
        self.key = _key("email", address)
        self.label = f"e-mail to {address}"
        self._post = post
        self._address = address

    def send(self, message: Message) -> None:
        """Hand a mail over to the server."""
        self._post.deliver(self._address, message)


class Post:
    """The connection to the mail server: opened for the first mail, kept for the others of this run."""

    def __init__(self, alerts: Alerts, now: datetime) -> None:
        self._alerts = alerts
        self._now = now
        self._server: smtplib.SMTP | None = None
        self._down: str | None = None

    @property
    def _where(self) -> str:
        return f"the mail server {self._alerts.smtp_host}:{self._alerts.port}"

    def deliver(self, to: str, message: Message) -> None:
        """Deliver to one recipient. A server that failed once is not asked again in this run."""
        if self._down is not None:
            raise ChannelFailed(self._down)
        mail = self._mail(to, message)
        with self._worded(to):
            if self._server is None:
                self._server = self._connected()
            self._server.send_message(mail, self._alerts.email_from, [to])

    def close(self) -> None:
        """Hang up. All mails were taken, or not, before."""
        if self._server is None:
            return
        with contextlib.suppress(smtplib.SMTPException, OSError):
            self._server.quit()
        self._server.close()
        self._server = None

    def _connected(self) -> smtplib.SMTP:
        alerts = self._alerts
        host = alerts.smtp_host or ""
        context = ssl.create_default_context()
        if alerts.smtp_security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(host, alerts.port, timeout=SMTP_SECONDS, context=context)
        else:
            server = smtplib.SMTP(host, alerts.port, timeout=SMTP_SECONDS)
        try:
            if alerts.smtp_security == "starttls":
                server.starttls(context=context)
            if alerts.smtp_user and alerts.smtp_password is not None:
                server.login(alerts.smtp_user, alerts.smtp_password.get_secret_value())
        except BaseException:
            server.close()
            raise
        return server

    def _mail(self, to: str, message: Message) -> EmailMessage:
        sender = self._alerts.email_from or ""
        mail = EmailMessage()
        mail["Subject"] = one_line(message.subject)
        mail["From"] = sender
        mail["To"] = to
        mail["Date"] = format_datetime(self._now.astimezone(UTC))
        mail["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2])
        mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday reply answers us.
        mail.set_content(as_text(message))
        mail.add_alternative(as_html(message), subtype="html")
        return mail

    @contextmanager
    def _worded(self, to: str) -> Iterator[None]:
        """Turn what the library raises into a sentence that names the setting to look at."""
        try:
            yield
        except smtplib.SMTPRecipientsRefused as error:
            code, refusal = error.recipients[to]
            cure = "try again later" if code < 500 else "check alerts.email_to"
            raise ChannelFailed(
                f"{self._where} refused the recipient {to} ({code} {self._reply(refusal)}): {cure}"
            ) from None
        except smtplib.SMTPDataError as error:
            reply = f"{error.smtp_code} {self._reply(error.smtp_error)}"
            raise ChannelFailed(
                f"{self._where} refused a message to {to} ({reply})", only_this=True
            ) from None
        except (smtplib.SMTPException, OSError) as error:
            self._down = self._sentence(error)
            if self._server is not None:
                self._server.close()
                self._server = None
            raise ChannelFailed(self._down) from None

    def _sentence(self, error: smtplib.SMTPException | OSError) -> str:
        alerts, where = self._alerts, self._where
        match error:
            case smtplib.SMTPAuthenticationError():
                reply = f"{error.smtp_code} {self._reply(error.smtp_error)}"
                return (
                    f"{where} refused the login of {alerts.smtp_user} ({reply}): "
                    "check alerts.smtp_user and alerts.smtp_password"
                )
            case smtplib.SMTPSenderRefused():
                reply = f"{error.smtp_code} {self._reply(error.smtp_error)}"
                login = "" if alerts.smtp_user else ", or set alerts.smtp_user and alerts.smtp_password"
                cure = f"check alerts.email_from{login}"
                return f"{where} refused the sender {alerts.email_from} ({reply}): {cure}"
            case smtplib.SMTPNotSupportedError() if "STARTTLS" in str(error):
                return (
                    f"{where} offers no STARTTLS, and nothing was sent in the clear: check alerts.smtp_port, "
                    'or set alerts.smtp_security = "tls" (port 465)'
                )
            case smtplib.SMTPNotSupportedError():
                return (
                    f"{where} takes no login on this port: check alerts.smtp_port, "
                    "or remove alerts.smtp_user and alerts.smtp_password"
                )
            case smtplib.SMTPResponseException():
                return f"{where} answered {error.smtp_code} {self._reply(error.smtp_error)}: try again later"
            case smtplib.SMTPServerDisconnected():
                hint = "" if alerts.smtp_security == "tls" else self._maybe_tls()
                return f"{where} hung up before it was done: check alerts.smtp_port{hint}"
            case ssl.SSLCertVerificationError():
                return (
                    f"the certificate of {where} is not trusted ({error.verify_message}): "
                    "check that alerts.smtp_host is the name in it"
                )
            case ssl.SSLError():
                hint = ' and set alerts.smtp_security = "starttls"' if alerts.smtp_security == "tls" else ""
                return f"{where} does not speak TLS as expected: check alerts.smtp_port{hint}"
            case TimeoutError():
                return (
                    f"{where} did not answer within {SMTP_SECONDS:g} seconds: check alerts.smtp_host and "
                    f"alerts.smtp_port{self._maybe_tls()}"
                )
            case OSError(strerror=str(reason)):
                return f"{where} could not be reached ({reason}): check alerts.smtp_host and alerts.smtp_port"
        return (
            f"{where} could not be used ({type(error).__name__}): check alerts.smtp_host and alerts.smtp_port"
        )

    def _maybe_tls(self) -> str:
        """Say what silence often means: the server waits for TLS while we wait for its greeting."""
        if self._alerts.smtp_security == "tls":
            return ""
        return ', or set alerts.smtp_security = "tls" if that port wants TLS from the start'

    def _reply(self, reply: bytes | str) -> str:
        """Clean a server's reply, which might throw our own password back at us."""
        text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else str(reply)
        if self._alerts.smtp_password is not None and self._alerts.smtp_user:
            password = self._alerts.smtp_password.get_secret_value()
            plain = f"\0{self._alerts.smtp_user}\0{password}"
            for secret in (password, *(base64.b64encode(s.encode()).decode() for s in (password, plain))):
                text = text.replace(secret, "…") if secret else text
        return one_line(text, WORD_CHARACTERS_MAX)


# --- Slack ---------------------------------------------------------------------------------------


class Slack:
    """An incoming webhook: https://api.slack.com/messaging/webhooks."""

    def __init__(self, http: Http, url: str) -> None:
        self.key = _key("slack", url)
        self.label = "Slack"
        self._http = http
        self._url = url

    def send(self, message: Message) -> None:
        """Post a message."""
        text = f"{one_line(message.subject)}\n\n{as_text(message)}"
        # mrkdwn off and the three characters escaped: nothing in a remote's words formats, links or pings.
        body = {"text": slack_escaped(text)[:SLACK_CHARACTERS_MAX], "mrkdwn": False}
        try:
            answer = self._http.request(
                "POST",
                self._url,
                headers={"Content-Type": "application/json; charset=utf-8"},
                content=json.dumps(body).encode(),
            )
        except SyncError as error:
            raise ChannelFailed(f"Slack: {error}; check alerts.slack_webhook_url") from None
        if 200 <= answer.status < 300:
            return
        word = answer.body[:100].decode("utf-8", "replace").strip()
        told = f"{answer.status} {word}" if _SLACK_WORD.fullmatch(word) else str(answer.status)
        if answer.status == 429 or answer.status >= 500:
            raise ChannelFailed(f"Slack takes no message at the moment ({told})")
        raise ChannelFailed(
            f"Slack refused the message ({told}): check alerts.slack_webhook_url",
            only_this=answer.status in {400, 413},
        )


def slack_escaped(text: str) -> str:
    """Escape the three characters that Slack gives a meaning."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


# --- Apprise -------------------------------------------------------------------------------------


class Apprise:
    """Whatever the optional library reaches. Its own log may hold addresses, so it is not shown."""

    def __init__(self, url: str, number: int) -> None:
        self.key = _key("apprise", url)
        self.label = f"Apprise address {number}"
        self._url = url
        self._number = number

    def send(self, message: Message) -> None:
        """Have the library carry a message."""
        setting = f"alerts.apprise_urls[{self._number - 1}]"
        try:
            library: Any = importlib.import_module("apprise")
        except ImportError:
            raise ChannelFailed(
                f"{setting} needs the Apprise library: pip install 'tillbridge[apprise]'"
            ) from None
        logging.getLogger("apprise").addHandler(logging.NullHandler())
        target = library.Apprise(asset=library.AppriseAsset(app_id="Tillbridge", async_mode=False))
        try:
            taken = target.add(self._url) and target.notify(
                title=one_line(message.subject), body=as_text(message), body_format="text"
            )
        except Exception as error:  # noqa: BLE001  A hundred services' code of others; none may stop a run.
            raise ChannelFailed(f"{setting} could not be used ({type(error).__name__})") from None
        if not len(target):
            raise ChannelFailed(f"{setting} is no address that Apprise understands")
        if not taken:
            raise ChannelFailed(f"{setting} did not take the message: check the address and its credentials")
