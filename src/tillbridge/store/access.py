"""Who may use the console: people, sessions, one-time links, API tokens, failed sign-ins, and the audit log.

All of it stands in the installation's shared database, so that every process sees
a session that was ended elsewhere. Secrets are kept as hashes only: whoever
reads these tables can neither sign in nor call the API.

Each entry of the audit log carries the hash of the one before it; an entry that
was changed, taken out or slipped in breaks the chain (`verify`). Entries cut off
at the end show when the newest hash, which the service's log repeats, is missing.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
import sqlalchemy as sa

from tillbridge.store.service import SCHEMA, Service

# Above the longest sentence that we note; a body is bounded before that.
_DETAIL_MAX = 4_000

_meta = sa.MetaData()

_person = sa.Table(
    "console_person",
    _meta,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),  # folded: people do not mind their capitals
    sa.Column("shown", sa.Text, nullable=False),  # as it was written
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("limits", sa.Text),  # JSON: stores by connection; None: all
    sa.Column("password", sa.Text),  # an argon2 hash
    sa.Column("subject", sa.Text, unique=True),  # who they are at an identity provider
    sa.Column("active", sa.Boolean, nullable=False, default=True),
    sa.Column("made_at", sa.Float, nullable=False),
    sa.Column("seen_at", sa.Float),
)

_session = sa.Table(
    "console_session",
    _meta,
    sa.Column("hash", sa.Text, primary_key=True),
    sa.Column("person", sa.Integer, nullable=False, index=True),
    sa.Column("made_at", sa.Float, nullable=False),
    sa.Column("seen_at", sa.Float, nullable=False),
    sa.Column("until", sa.Float, nullable=False),
    sa.Column("agent", sa.Text, nullable=False, default=""),
    sa.Column("address", sa.Text, nullable=False, default=""),
)

_link = sa.Table(
    "console_link",
    _meta,
    sa.Column("hash", sa.Text, primary_key=True),
    sa.Column("purpose", sa.Text, nullable=False),
    sa.Column("person", sa.Integer),
    sa.Column("until", sa.Float, nullable=False),
)

_token = sa.Table(
    "console_token",
    _meta,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("hash", sa.Text, nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("person", sa.Integer, nullable=False, index=True),
    sa.Column("scopes", sa.Text, nullable=False),  # words with a blank between them
    sa.Column("made_at", sa.Float, nullable=False),
    sa.Column("until", sa.Float),
    sa.Column("seen_at", sa.Float),
)

# Sign-ins that are under way at an identity provider, by the hash of what their browser keeps.
_flow = sa.Table(
    "console_flow",
    _meta,
    sa.Column("hash", sa.Text, primary_key=True),
    sa.Column("flow", sa.Text, nullable=False),  # JSON
    sa.Column("until", sa.Float, nullable=False, index=True),
)

# Anybody may begin one: beyond that the oldest are forgotten.
_FLOWS_MAX = 5_000

# Failed sign-ins by whom they were for and where they came from.
_attempt = sa.Table(
    "console_attempt",
    _meta,
    sa.Column("who", sa.Text, primary_key=True),
    sa.Column("fails", sa.Integer, nullable=False),
    sa.Column("since", sa.Float, nullable=False),
)

_audit = sa.Table(
    "console_audit",
    _meta,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("what", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),  # JSON, ids only
    sa.Column("hash", sa.Text, nullable=False),
)

_FIRST = "0" * 64

# Beside its scope a token may name the connections that it is for, each behind this.
ON = "on:"

# Where the console that runs answers: its port may be another one than the configuration's.
_ADDRESS = "console address"


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who may sign in. `limits`: the stores that they may see, by connection; None: all."""

    id: int
    name: str
    role: str
    limits: dict[str, list[str]] | None = None
    has_password: bool = False
    subject: str | None = None
    active: bool = True
    made_at: float = 0.0
    seen_at: float | None = None


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One browser that somebody signed in with."""

    hash: str
    person: int
    made_at: float
    seen_at: float
    until: float
    agent: str
    address: str


class Link(msgspec.Struct, frozen=True):
    """What a one-time link is good for."""

    purpose: str
    person: int | None
    until: float


class Flow(msgspec.Struct, frozen=True):
    """One sign-in at an identity provider, kept until its browser comes back."""

    state: str
    nonce: str
    verifier: str
    next: str


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A key for programs. It never may more than the person who made it."""

    id: int
    name: str
    person: int
    scopes: frozenset[str]
    made_at: float
    until: float | None
    seen_at: float | None


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the audit log."""

    number: int
    at: float
    who: str
    what: str
    subject: str
    detail: dict[str, Any]
    hash: str


class Broken(msgspec.Struct, frozen=True):
    """Where the chain of the audit log does not hold, and why."""

    number: int
    why: str


def folded(name: str) -> str:
    """Return a name as people are looked up by."""
    return " ".join(name.split()).casefold()


def hashed(secret: str) -> str:
    """Hash a random secret of ours: it is long enough that nobody can try them all."""
    return hashlib.sha256(secret.encode()).hexdigest()


class Access:
    """The tables of the console. Every method is one short transaction."""

    def __init__(self, service: Service) -> None:
        self._service = service
        with self._writing() as c:
            _meta.create_all(c)

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        """Open a transaction that nobody else of the console writes beside."""
        with self._service.begin() as c:
            if self._service.is_sqlite:
                # The driver begins one only before it writes: what was read would not hold.
                c.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                c.execute(sa.text(f"SELECT pg_advisory_xact_lock(hashtext('{SCHEMA}.console'))"))
            yield c

    # --- where it is ---------------------------------------------------------------------------

    def serves_at(self, address: str | None) -> None:
        """Keep where the console answers just now; None: nowhere."""
        self._service.set(_ADDRESS, address)

    def address(self) -> str | None:
        """Return where the console that runs answers, as it said itself."""
        found = self._service.setting(_ADDRESS)
        return found if isinstance(found, str) else None

    # --- people --------------------------------------------------------------------------------

    def people(self) -> list[Person]:
        """Return everybody, also those who may no longer sign in."""
        with self._service.begin() as c:
            return [_read_person(row) for row in c.execute(sa.select(_person).order_by(_person.c.name))]

    def person(self, number: int) -> Person | None:
        """Return somebody by number."""
        with self._service.begin() as c:
            row = c.execute(sa.select(_person).where(_person.c.id == number)).first()
        return None if row is None else _read_person(row)

    def named(self, name: str) -> tuple[Person, str | None] | None:
        """Return somebody by name, with the hash of their password."""
        with self._service.begin() as c:
            row = c.execute(sa.select(_person).where(_person.c.name == folded(name))).first()
        return None if row is None else (_read_person(row), row.password)

    def subject(self, subject: str) -> Person | None:
        """Return somebody by who they are at the identity provider."""
        with self._service.begin() as c:
            row = c.execute(sa.select(_person).where(_person.c.subject == subject)).first()
        return None if row is None else _read_person(row)

    def has_admin(self) -> bool:
        """Say whether somebody is there who can let others in."""
        mine = (_person.c.role == "admin", _person.c.active)
        able = sa.or_(_person.c.password.is_not(None), _person.c.subject.is_not(None))
        with self._service.begin() as c:
            return c.execute(sa.select(_person.c.id).where(*mine, able)).first() is not None

    def add(
        self,
        name: str,
        role: str,
        now: float,
        *,
        password: str | None = None,
        limits: Mapping[str, Sequence[str]] | None = None,
        subject: str | None = None,
    ) -> Person | None:
        """Add somebody; None when the name is taken. `password` is its hash."""
        values = {
            "name": folded(name),
            "shown": " ".join(name.split()),
            "role": role,
            "limits": _written(limits),
            "password": password,
            "subject": subject,
            "active": True,
            "made_at": now,
        }
        with self._writing() as c:
            if c.execute(sa.select(_person.c.id).where(_person.c.name == values["name"])).first():
                return None
            number = c.execute(sa.insert(_person).returning(_person.c.id), values).scalar_one()
            row = c.execute(sa.select(_person).where(_person.c.id == number)).one()
        return _read_person(row)

    def change(
        self,
        number: int,
        *,
        role: str,
        limits: Mapping[str, Sequence[str]] | None,
        active: bool,
        keeps_limits: bool = False,
    ) -> bool:
        """Let somebody be what they are now, and end their sessions; False if nobody could let others in.

        The last administrator stays one. `keeps_limits`: the stores that they were limited to stay kept,
        and hold again when they are a viewer.
        """
        with self._writing() as c:
            admins = sa.select(_person.c.id).where(_person.c.role == "admin", _person.c.active)
            was_admin = number in c.execute(admins).scalars().all()
            if was_admin and not (role == "admin" and active):
                able = sa.or_(_person.c.password.is_not(None), _person.c.subject.is_not(None))
                if set(c.execute(admins.where(able)).scalars()) <= {number}:
                    return False
            values: dict[str, object] = {"role": role, "active": active}
            values |= {} if keeps_limits else {"limits": _written(limits)}
            c.execute(sa.update(_person).where(_person.c.id == number).values(values))
            c.execute(sa.delete(_session).where(_session.c.person == number))
            if not active:
                c.execute(sa.delete(_token).where(_token.c.person == number))
                c.execute(sa.delete(_link).where(_link.c.person == number))
        return True

    def set_password(self, number: int, password: str, *, rehashed: bool = False) -> None:
        """Keep the hash of somebody's new password and end their sessions; `rehashed`: it is the old one."""
        with self._writing() as c:
            c.execute(sa.update(_person).where(_person.c.id == number).values(password=password))
            if not rehashed:
                c.execute(sa.delete(_session).where(_session.c.person == number))
                c.execute(sa.delete(_link).where(_link.c.person == number))

    # --- sessions ------------------------------------------------------------------------------

    def sign_in(self, person: int, now: float, until: float, *, agent: str, address: str) -> str:
        """Begin a session and return its secret, which is known to the browser alone."""
        secret = secrets.token_urlsafe(32)
        values = {
            "hash": hashed(secret),
            "person": person,
            "made_at": now,
            "seen_at": now,
            "until": until,
            "agent": agent[:200],
            "address": address[:60],
        }
        with self._writing() as c:
            c.execute(sa.delete(_session).where(_session.c.until < now))
            c.execute(sa.insert(_session), values)
            c.execute(sa.update(_person).where(_person.c.id == person).values(seen_at=now))
        return secret

    def session(self, secret: str) -> tuple[Session, Person] | None:
        """Return a session by its secret, and whose it is."""
        with self._service.begin() as c:
            row = c.execute(sa.select(_session).where(_session.c.hash == hashed(secret))).first()
            owner = row and c.execute(sa.select(_person).where(_person.c.id == row.person)).first()
        if not row or not owner:
            return None
        return Session(**row._mapping), _read_person(owner)  # noqa: SLF001  SQLAlchemy's public name.

    def seen(self, session: str, now: float) -> None:
        """Note that a session is still used."""
        with self._writing() as c:
            c.execute(sa.update(_session).where(_session.c.hash == session).values(seen_at=now))

    def sessions(self, person: int) -> list[Session]:
        """Return where somebody is signed in."""
        mine = _session.c.person == person
        with self._service.begin() as c:
            rows = c.execute(sa.select(_session).where(mine).order_by(_session.c.seen_at.desc()))
            return [Session(**row._mapping) for row in rows]  # noqa: SLF001  As above.

    def end_session(self, session: str) -> bool:
        """End one session by its hash."""
        with self._writing() as c:
            return bool(c.execute(sa.delete(_session).where(_session.c.hash == session)).rowcount)

    def end_sessions(self, person: int, *, but: str = "") -> int:
        """End somebody's sessions, all but one."""
        where = (_session.c.person == person, _session.c.hash != but)
        with self._writing() as c:
            return c.execute(sa.delete(_session).where(*where)).rowcount

    def end_all_of_the_provider(self) -> int:
        """End the sessions and tokens of whoever signs in at an identity provider alone; return how many."""
        theirs = sa.select(_person.c.id).where(_person.c.subject.is_not(None), _person.c.password.is_(None))
        with self._writing() as c:
            return sum(
                c.execute(sa.delete(each).where(each.c.person.in_(theirs))).rowcount
                for each in (_session, _token)
            )

    # --- one-time links ------------------------------------------------------------------------

    def make_link(self, purpose: str, person: int | None, until: float) -> str:
        """Make a one-time link and return its secret; older ones for the same are void."""
        secret = secrets.token_urlsafe(32)
        with self._writing() as c:
            same = sa.and_(_link.c.purpose == purpose, _link.c.person.is_not_distinct_from(person))
            c.execute(sa.delete(_link).where(same))
            values = {"hash": hashed(secret), "purpose": purpose, "person": person, "until": until}
            c.execute(sa.insert(_link), values)
        return secret

    def link(self, secret: str, now: float) -> Link | None:
        """Return what a link is good for, without using it up."""
        mine = (_link.c.hash == hashed(secret), _link.c.until >= now)
        with self._service.begin() as c:
            row = c.execute(sa.select(_link).where(*mine)).first()
        return None if row is None else Link(row.purpose, row.person, row.until)

    def use_link(self, secret: str, now: float) -> Link | None:
        """Use a link up: one caller gets it, everybody behind gets nothing."""
        mine = (_link.c.hash == hashed(secret), _link.c.until >= now)
        with self._writing() as c:
            row = c.execute(sa.delete(_link).where(*mine).returning(*_link.c)).first()
        return None if row is None else Link(row.purpose, row.person, row.until)

    # --- sign-ins at an identity provider -------------------------------------------------------

    def begin_flow(self, flow: Flow, now: float, until: float) -> str:
        """Keep a sign-in that is under way and return the secret by which its browser is known again."""
        secret = secrets.token_urlsafe(32)
        values = {"hash": hashed(secret), "flow": msgspec.json.encode(flow).decode(), "until": until}
        with self._writing() as c:
            c.execute(sa.delete(_flow).where(_flow.c.until < now))
            count = c.execute(sa.select(sa.func.count()).select_from(_flow)).scalar_one()
            if count >= _FLOWS_MAX:
                oldest = sa.select(_flow.c.hash).order_by(_flow.c.until).limit(count - _FLOWS_MAX + 1)
                c.execute(sa.delete(_flow).where(_flow.c.hash.in_(oldest)))
            c.execute(sa.insert(_flow), values)
        return secret

    def end_flow(self, secret: str, now: float) -> Flow | None:
        """Return a sign-in that was under way, once; None when it is none, or took too long."""
        mine = (_flow.c.hash == hashed(secret), _flow.c.until >= now)
        with self._writing() as c:
            row = c.execute(sa.delete(_flow).where(*mine).returning(_flow.c.flow)).first()
        return None if row is None else msgspec.json.decode(row.flow, type=Flow)

    # --- tokens --------------------------------------------------------------------------------

    def make_token(
        self, person: int, name: str, scopes: Sequence[str], now: float, until: float | None
    ) -> str:
        """Make a token for programs and return its secret, which is shown once."""
        secret = f"tb_{secrets.token_urlsafe(32)}"
        values = {
            "hash": hashed(secret),
            "name": name,
            "person": person,
            "scopes": " ".join(sorted(set(scopes))),
            "made_at": now,
            "until": until,
        }
        with self._writing() as c:
            c.execute(sa.insert(_token), values)
        return secret

    def token(self, secret: str, now: float) -> tuple[Token, Person] | None:
        """Return a token by its secret, and whose it is; one that has run out is none."""
        in_time = sa.or_(_token.c.until.is_(None), _token.c.until >= now)
        with self._service.begin() as c:
            row = c.execute(sa.select(_token).where(_token.c.hash == hashed(secret), in_time)).first()
            owner = row and c.execute(sa.select(_person).where(_person.c.id == row.person)).first()
        if not row or not owner:
            return None
        return _read_token(row), _read_person(owner)

    def tokens(self, person: int | None = None) -> list[Token]:
        """Return all tokens, or somebody's."""
        statement = sa.select(_token).order_by(_token.c.id)
        if person is not None:
            statement = statement.where(_token.c.person == person)
        with self._service.begin() as c:
            return [_read_token(row) for row in c.execute(statement)]

    def token_seen(self, number: int, now: float) -> None:
        """Note that a token is still used."""
        with self._writing() as c:
            c.execute(sa.update(_token).where(_token.c.id == number).values(seen_at=now))

    def end_token(self, number: int, person: int | None = None) -> bool:
        """Let a token, of a person if one is named, be good for nothing any more."""
        where = [_token.c.id == number]
        where += [_token.c.person == person] if person is not None else []
        with self._writing() as c:
            return bool(c.execute(sa.delete(_token).where(*where)).rowcount)

    def forget(self, connection: str) -> None:
        """Let nobody's rights at a connection that is gone hold for a new one of its name.

        A token that was for this connection alone ends: without the name it would be for all.
        """
        named = f"{ON}{connection}"
        with self._writing() as c:
            for number, limits in c.execute(
                sa.select(_person.c.id, _person.c.limits).where(_person.c.limits.is_not(None))
            ).all():
                kept = msgspec.json.decode(limits)
                if kept.pop(connection, None) is not None:
                    c.execute(sa.update(_person).where(_person.c.id == number).values(limits=_written(kept)))
            for number, scopes in c.execute(sa.select(_token.c.id, _token.c.scopes)).all():
                if named not in scopes.split():
                    continue
                left = [each for each in scopes.split() if each != named]
                this = _token.c.id == number
                if any(each.startswith(ON) for each in left):
                    c.execute(sa.update(_token).where(this).values(scopes=" ".join(left)))
                else:
                    c.execute(sa.delete(_token).where(this))

    # --- failed sign-ins -----------------------------------------------------------------------

    def failed(self, who: str, now: float, window_seconds: float) -> int:
        """Count one more failure; return how many there were in the window."""
        with self._writing() as c:
            c.execute(sa.delete(_attempt).where(_attempt.c.since < now - window_seconds))
            row = c.execute(sa.select(_attempt).where(_attempt.c.who == who)).first()
            if row is None:
                c.execute(sa.insert(_attempt), {"who": who, "fails": 1, "since": now})
                return 1
            fails = int(row.fails) + 1
            # The window begins again with each failure: whoever keeps trying stays out.
            c.execute(sa.update(_attempt).where(_attempt.c.who == who).values(fails=fails, since=now))
            return fails

    def fails(self, who: str, now: float, window_seconds: float) -> tuple[int, float]:
        """Return how often it failed lately, and for how many seconds that still counts."""
        mine = (_attempt.c.who == who, _attempt.c.since >= now - window_seconds)
        with self._service.begin() as c:
            row = c.execute(sa.select(_attempt).where(*mine)).first()
        return (0, 0.0) if row is None else (int(row.fails), row.since + window_seconds - now)

    def forgive(self, who: str) -> None:
        """Forget failures: the right one came."""
        with self._writing() as c:
            c.execute(sa.delete(_attempt).where(_attempt.c.who == who))

    def uncount(self, who: str) -> None:
        """Take one failure back: it was none."""
        with self._writing() as c:
            c.execute(sa.delete(_attempt).where(_attempt.c.who == who, _attempt.c.fails <= 1))
            less = sa.update(_attempt).where(_attempt.c.who == who)
            c.execute(less.values(fails=_attempt.c.fails - 1))

    # --- the audit log -------------------------------------------------------------------------

    def note(
        self, who: str, what: str, subject: str, now: float, detail: Mapping[str, Any] | None = None
    ) -> Entry:
        """Write one line of the audit log behind the newest one."""
        text = msgspec.json.encode(dict(detail or {}), order="sorted").decode()
        if len(text) > _DETAIL_MAX:
            text = msgspec.json.encode({"left out": f"{len(text)} characters"}).decode()
        with self._writing() as c:
            last = c.execute(sa.select(_audit).order_by(_audit.c.number.desc()).limit(1)).first()
            number, before = (1, _FIRST) if last is None else (last.number + 1, last.hash)
            values = {
                "number": number,
                "at": round(now, 3),
                "who": who,
                "what": what,
                "subject": subject,
                "detail": text,
            }
            values["hash"] = _chained(before, values)
            c.execute(sa.insert(_audit), values)
        return _read_entry(values)

    def entries(self, *, limit: int, before: int | None = None, what: str = "") -> list[Entry]:
        """Return the newest lines, or those before one."""
        statement = sa.select(_audit).order_by(_audit.c.number.desc()).limit(limit)
        if before is not None:
            statement = statement.where(_audit.c.number < before)
        if what:
            statement = statement.where(_audit.c.what == what)
        with self._service.begin() as c:
            return [_read_entry(row._mapping) for row in c.execute(statement)]  # noqa: SLF001  As above.

    def verify(self, newest: str | None = None) -> tuple[int, str, Broken | None]:
        """Walk the whole chain: how many lines hold, the newest hash, and where it breaks.

        `newest`: a hash that was written down before, and must still be in it.
        """
        before, count, found = _FIRST, 0, newest is None
        with self._service.begin() as c:
            rows = c.execution_options(yield_per=1_000).execute(sa.select(_audit).order_by(_audit.c.number))
            for row in rows:
                if row.number != count + 1:
                    return count, before, Broken(count + 1, "is missing")
                if row.hash != _chained(before, row._mapping):  # noqa: SLF001  As above.
                    return count, before, Broken(row.number, "was changed after it was written")
                before, count = row.hash, row.number
                found = found or row.hash == newest
        if not found:
            return count, before, Broken(count + 1, "and those behind it were cut off: the hash is nowhere")
        return count, before, None


def _chained(before: str, values: Mapping[Any, Any]) -> str:
    """Hash an entry together with the hash of the one before it."""
    fields = [before, *(values[name] for name in ("number", "at", "who", "what", "subject", "detail"))]
    return hashlib.sha256(msgspec.json.encode(fields)).hexdigest()


def _read_entry(row: Mapping[Any, Any]) -> Entry:
    return Entry(**{**row, "detail": msgspec.json.decode(row["detail"])})


def _written(limits: Mapping[str, Sequence[str]] | None) -> str | None:
    if limits is None:
        return None
    return msgspec.json.encode({name: sorted(set(stores)) for name, stores in limits.items()}).decode()


def _read_person(row: Any) -> Person:
    return Person(
        id=row.id,
        name=row.shown,
        role=row.role,
        # Others act on the whole connection; what a viewer is limited to holds again when they are one again.
        limits=None if row.limits is None or row.role != "viewer" else msgspec.json.decode(row.limits),
        has_password=row.password is not None,
        subject=row.subject,
        active=row.active,
        made_at=row.made_at,
        seen_at=row.seen_at,
    )


def _read_token(row: Any) -> Token:
    return Token(
        id=row.id,
        name=row.name,
        person=row.person,
        scopes=frozenset(row.scopes.split()),
        made_at=row.made_at,
        until=row.until,
        seen_at=row.seen_at,
    )
