"""A real mail server and a webhook on loopback, and a home directory whose alerts lead there."""
# ruff: noqa: N802  The libraries name their hooks.

import json
import socket
import ssl
import threading
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from types import SimpleNamespace

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tillbridge.store.journal import NewProblem
from tillbridge.store.notices import keep_pulse
from tillbridge.wiring import open_home

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
PASSWORD = "correct horse battery"


class PostOffice:
    """A mail server. It knows no `refused` recipients, and hangs up behind `dies_after` mails."""

    def __init__(self):
        self.mails = []
        self.refused = set()
        self.refused_subjects = set()
        self.dies_after = None
        self.connections = 0

    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        self.connections += 1
        session.host_name = hostname
        return responses

    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        if address in self.refused:
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if self.dies_after is not None and len(self.mails) >= self.dies_after:
            server.transport.abort()
            return "451 never seen"
        mail = message_from_bytes(envelope.content, policy=policy.default)
        if mail["Subject"] in self.refused_subjects:
            return "554 5.7.1 looks like spam"
        self.mails.append(mail)
        return "250 OK"

    @property
    def subjects(self):
        return [mail["Subject"] for mail in self.mails]

    def texts(self):
        return [mail.get_body(("plain",)).get_content() for mail in self.mails]


class _Server(Controller):
    def _trigger_server(self):
        """Learn the port; whoever connects first makes the library build its session."""
        self.port = self.server.sockets[0].getsockname()[1]
        with ExitStack() as stack:
            visitor = stack.enter_context(socket.create_connection(("127.0.0.1", self.port), 10))
            if self.ssl_context is not None:
                anybody = ssl.create_default_context()
                anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
                visitor = stack.enter_context(anybody.wrap_socket(visitor))
            visitor.recv(1024)


def _check(server, session, envelope, mechanism, login):
    good = isinstance(login, LoginPassword) and login == LoginPassword(b"shop", PASSWORD.encode())
    return AuthResult(success=good, handled=False)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A certificate for this machine, signed by itself."""
    folder = tmp_path_factory.mktemp("certificate")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))])
    today = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return SimpleNamespace(cert=folder / "cert.pem", key=folder / "key.pem")


@pytest.fixture
def trusted(certificate, monkeypatch):
    """This machine trusts the certificate."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.cert))


@pytest.fixture
def open_office(certificate):
    """Open a post office; wishes: security, and whether it wants a login."""
    with ExitStack() as stack:

        def make(security="none", *, login=False):
            office = PostOffice()
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate.cert, certificate.key)
            more = {"ssl_context": context} if security == "tls" else {}
            if security == "starttls":
                more = {"tls_context": context, "require_starttls": True}
            if login:
                # To demand a login without STARTTLS is nothing that the library likes.
                wanted = security == "starttls"
                more |= {"authenticator": _check, "auth_required": wanted, "auth_require_tls": wanted}
            server = _Server(office, hostname="127.0.0.1", port=0, ready_timeout=20, **more)
            server.start()
            stack.callback(server.stop)
            office.port = server.port
            return office

        yield make


@pytest.fixture
def office(open_office):
    return open_office()


class Webhook:
    """An incoming webhook. `answers` are given in turn, then 200 for ever."""

    def __init__(self):
        self.posts = []
        self.answers = []
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, word = webhook.answers.pop(0) if webhook.answers else (200, "ok")
                if status == 200:
                    webhook.posts.append(json.loads(body))
                self.send_response(status)
                self.send_header("Content-Length", str(len(word)))
                self.end_headers()
                self.wfile.write(word.encode())

            def log_message(self, *_):
                """Nothing is to be read here."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/services/T0/B0/hidden-part"

    def close(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def texts(self):
        return [post["text"] for post in self.posts]


@pytest.fixture
def webhook():
    made = Webhook()
    yield made
    made.close()


@pytest.fixture
def closed_port():
    """A port of this machine where nobody listens, and nobody can meanwhile."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


class StandingClock:
    def __init__(self):
        self.moment = NOW

    def now(self):
        return self.moment

    def monotonic(self):
        return self.moment.timestamp()

    def sleep(self, seconds):
        self.moment += timedelta(seconds=seconds)


class Home:
    """A home directory that no remote has ever answered: problems and polls are put into it by hand."""

    def __init__(self, folder, stack):
        self.folder = folder
        self.clock = StandingClock()
        self._stack = stack
        self.parts = None

    def alerts(self, **settings):
        self.configure("\n".join(f"{name} = {_toml(value)}" for name, value in settings.items()))
        return self

    def configure(self, alerts):
        (self.folder / "tillbridge.toml").write_text(
            f"""\
[lightspeed]
account_id = "190001"
client_id = "demo-client"
client_secret = "demo-secret"
refresh_token = "demo-refresh"

[salesforce]
login_url = "https://shop.my.salesforce.com"
auth = "client_credentials"
client_id = "demo-consumer"
client_secret = "demo-consumer-secret"

[alerts]
{alerts}
""",
            encoding="utf-8",
        )
        self.parts = open_home(self.folder, clock=self.clock, seed=1)
        self._stack.callback(self.parts.close)

    def wait(self, **delta):
        self.clock.moment += timedelta(**delta)

    def refuse(self, *problems):
        with self.parts.state.begin() as c:
            self.parts.journal.refuse(c, problems)

    def accept(self, *things):
        with self.parts.state.begin() as c:
            self.parts.journal.resolve(c, things)

    def polled(self, *streams, every=60.0):
        with self.parts.state.begin() as c:
            keep_pulse(self.parts.state, c, streams, dict.fromkeys(streams, every))


def _toml(value):
    return json.dumps(value)


@pytest.fixture
def home(tmp_path):
    with ExitStack() as stack:
        yield Home(tmp_path, stack)


@pytest.fixture
def by_mail(home, office):
    """A home whose alerts go to one person by mail."""
    return home.alerts(
        email_to=["ops@shop.example"],
        email_from="tillbridge@shop.example",
        smtp_host="127.0.0.1",
        smtp_port=office.port,
        smtp_security="none",
    )


def problem(number, cause="A", **more):
    return NewProblem(
        **{
            "kind": "sale",
            "till_id": str(number),
            "object": "Sales_Transaction__c",
            "cause": f"REQUIRED_FIELD_MISSING:Sales_Transaction__c:{cause}:00",
            "code": "REQUIRED_FIELD_MISSING",
            "message": f"Required fields are missing: [{cause}]",
            "fields": (cause,),
            "payload": {"Ticket_Number__c": f"2200000{number}"},
            **more,
        }
    )


@pytest.fixture
def refusal():
    return problem
