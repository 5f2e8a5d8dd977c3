"""What somebody may: four roles, each with all that the one before it may, and a viewer's stores."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from tillbridge.store.access import ON, Person


class Role(IntEnum):
    """Whoever is at the door. Greater may more."""

    ANONYMOUS = 0
    VIEWER = 1  # looks
    OPERATOR = 2  # presses: sync, retry, decide, approve
    ADMIN = 3  # sets up, lets others in

    @property
    def word(self) -> str:
        """Return the role as it is stored and shown."""
        return self.name.lower()


ROLES = (Role.VIEWER, Role.OPERATOR, Role.ADMIN)

# What a token may carry. `read` looks, `write` presses, `admin` sets up; `metrics` is for the watcher alone.
METRICS = "metrics"
SCOPES = {"read": Role.VIEWER, "write": Role.OPERATOR, "admin": Role.ADMIN, METRICS: Role.ANONYMOUS}


def role_named(word: str) -> Role:
    """Return a stored role. A word that is none lets nobody in."""
    return next((role for role in ROLES if role.word == word), Role.ANONYMOUS)


@dataclass(frozen=True, slots=True)
class Visitor:
    """Whoever asks: a person in a browser, a program with a person's token, or nobody known."""

    role: Role
    name: str = ""
    person: Person | None = None
    session: str = ""  # the hash of the browser's session
    csrf: str = ""  # what a form of this session must carry
    token: str = ""  # the name of the token
    scopes: frozenset[str] = field(default_factory=frozenset)

    @property
    def connections(self) -> frozenset[str] | None:
        """Return the connections that a token is for; None: all that its owner sees."""
        named = frozenset(each.removeprefix(ON) for each in self.scopes if each.startswith(ON))
        return named or None

    @property
    def is_limited(self) -> bool:
        """Say whether this visitor sees some stores only."""
        return self.person is not None and self.person.limits is not None

    @property
    def audit_name(self) -> str:
        """Return who this is, for the audit log."""
        return f"{self.name} (token {self.token})" if self.token else self.name

    def may(self, role: Role) -> bool:
        """Say whether this visitor has a role, or one above it."""
        return self.role >= role

    def sees(self, connection: str) -> bool:
        """Say whether this visitor may look at a connection at all."""
        limits = self.person.limits if self.person else None
        named = self.connections
        if named is not None and connection not in named:
            return False
        return self.role > Role.ANONYMOUS and (limits is None or connection in limits)

    def stores(self, connection: str) -> frozenset[str] | None:
        """Return the codes of the stores that this visitor may see of a connection; None: all."""
        limits = self.person.limits if self.person else None
        return None if limits is None else frozenset(limits.get(connection, ()))


NOBODY = Visitor(role=Role.ANONYMOUS)
