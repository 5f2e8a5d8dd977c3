"""One connection's way to what its remotes allow: every call asks here, in the lane of what it is for.

The counting is `sync.budget`'s, its state one row a quota in the shared tables,
so that all connections and workers that draw on a quota share it. A row is not
changed for every call: calls are granted in small leases, one at first, then
more, and what is left of a lease goes back when the slice ends. What answers say
of a limit is noted with the next lease, or at once where it shows that somebody
else draws on the quota.

A short wait is waited out in place; a longer one raises LimitReached with the
moment from which it can go on. Nothing is lost by that: a slice can be ended at
every call.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Protocol, TypeVar

import msgspec

from tillbridge.model.clock import Clock
from tillbridge.model.errors import BadRequest, LimitReached, PermissionMissing, SyncError
from tillbridge.store.service import Service
from tillbridge.sync import budget, quota
from tillbridge.sync.ledger import EMPTY, State
from tillbridge.sync.quota import DAY, Asker, Caps, Granted, Lane, Paused, Quota

T = TypeVar("T")

# A slice's first call is granted alone, since most slices make one or none; then twice as many each time.
GRANT_CALLS_MAX = 8

# At the command line somebody waits anyway; a slice of the service lets others have the turn.
PATIENCE_SECONDS = 300.0
PATIENCE_SECONDS_OF_SLICE = 10.0

# Use by others is told at once when it is more than this, and more than this share of what is allowed.
_OTHERS_CALLS = 5
_OTHERS_SHARE = 0.005

# What a connection wants of a day is said again so often.
_WANTS_SECONDS = 3_600.0

_DUST = 1e-9


class Kept(msgspec.Struct, frozen=True):
    """A quota's row: what is allowed, as the last asker was configured, and what was spent."""

    quota: Quota
    state: State


GOES_ON = "it goes on at"


def goes_on(at: datetime, seconds: float) -> str:
    """Say when it goes on, so many seconds from now."""
    return f"{GOES_ON} {at.strftime('%H:%M' if seconds < DAY / 2 else '%Y-%m-%d %H:%M')} UTC"


class Books(Protocol):
    """Where the states of quotas are kept."""

    def change(self, name: str, quota: Quota, change: Callable[[State], tuple[State, T]]) -> T:
        """Replace a quota's state, while nobody else does; return what `change` answers beside it."""

    def close(self) -> None:
        """Let go of what was opened."""


class OwnBooks:
    """Books of this process alone: before there is an installation, and for tests."""

    def __init__(self) -> None:
        self._states: dict[str, State] = {}
        self._lock = threading.Lock()

    def change(self, name: str, quota: Quota, change: Callable[[State], tuple[State, T]]) -> T:  # noqa: ARG002  The protocol names it.
        """Replace a quota's state."""
        with self._lock:
            self._states[name], answer = change(self._states.get(name, EMPTY))
            return answer

    def close(self) -> None:
        """Nothing was opened."""


class SharedBooks:
    """The installation's books. `opened` returns its shared tables, and is asked once they are needed."""

    def __init__(self, opened: Callable[[], Service], *, own: bool = False) -> None:
        self._open = opened
        self._own = own
        self._service: Service | None = None

    def change(self, name: str, quota: Quota, change: Callable[[State], tuple[State, T]]) -> T:
        """Replace a quota's state in one transaction."""
        if self._service is None:
            self._service = self._open()

        def written(row: str | None) -> tuple[str, T]:
            state, answer = change(EMPTY if row is None else msgspec.json.decode(row, type=Kept).state)
            return msgspec.json.encode(Kept(quota, state)).decode(), answer

        return self._service.change_budget(name, written)

    def close(self) -> None:
        """Close the tables if they were opened for these books alone."""
        if self._own and self._service is not None:
            self._service.close()
            self._service = None


@dataclass(slots=True)
class _Told:
    """What answers have said and no row knows yet."""

    usage: tuple[int, int] | None = None
    level: tuple[float, float, float] | None = None
    at: float = 0.0
    answered: float = 0.0  # cost of what those answers were to


class Purse:
    """One quota as one connection draws on it."""

    def __init__(self, owner: Spending, quota: Quota, *, used_up: str) -> None:
        """Draw on a quota; `used_up`: how people are told that the remote itself takes no more."""
        self._owner = owner
        self._used_up = used_up
        self.quota = quota
        self._name: str | None = None
        self._granted = 0.0
        self._size = 1.0  # how many calls' worth the next lease is
        self._told = _Told()
        self._usage: tuple[int, int] | None = None
        self._since_usage = 0.0
        self._has_place = False
        self._is_looking = False
        # Asks the remote what is used, by one call whose answer comes back as `told_usage`.
        self.look: Callable[[], None] | None = None
        self._wanted_at: dict[str, float] = {}
        self.a_day: dict[Lane, float] = {}
        self._lock = threading.RLock()

    def take(self, name: str, cost: float) -> None:
        """Let a cost be spent. Raises LimitReached."""
        if not self.quota.windows and self.quota.leak is None:
            return
        with self._lock:
            self._name = name
            if not self._is_looking:  # That call was noted when it was let out.
                if self._granted + _DUST < cost:
                    self._lease(name, cost)
                self._granted -= cost
            self._since_usage += cost
            self._owner.count(name, cost)

    def _lease(self, name: str, cost: float) -> None:
        """Have a new lease granted; wait for it where it comes soon."""
        owner, waited = self._owner, 0.0
        while True:
            want = float(cost * self._size)
            answer = self._asked(name, cost, want)
            if isinstance(answer, float):
                self._granted = answer
                self._size = min(GRANT_CALLS_MAX, self._size * 2)
                return
            if self._has_looked(name):
                continue
            seconds = max(0.01, answer.until - owner.now())
            if waited + seconds > self._patience_seconds(answer):
                self.settle()
                raise self._limit_reached(answer)
            owner.clock.sleep(seconds)
            waited += seconds

    def _has_looked(self, name: str) -> bool:
        """Ask the remote what is used now, if somebody waits and what we know of it is no longer fresh."""
        owner = self._owner
        if self.look is None or self._is_looking:
            return False
        now = owner.now()
        if not owner.books.change(
            name, self.quota, lambda state: budget.look(state, self.quota, owner.asker, now)
        ):
            return False
        self._is_looking = True
        try:
            self.look()
        except (LimitReached, PermissionMissing, BadRequest):
            # Each of them is an answer, which tells what is used or that everybody has to wait: who may
            # not see the limits is told by its header.
            return True
        finally:
            self._is_looking = False
        owner.has_looked = True
        return True

    def _patience_seconds(self, paused: Paused) -> float:
        """Return how long a pause is waited out in place.

        Whether others will have ended by then nobody knows: it is no use to let a person wait for it.
        """
        told = any(window.told for window in self.quota.windows)
        if told and paused.cause in {"others", "refused"}:
            return min(self._owner.patience_seconds, PATIENCE_SECONDS_OF_SLICE)
        return self._owner.patience_seconds

    def _limit_reached(self, paused: Paused) -> LimitReached:
        seconds = paused.until - self._owner.now()
        at = datetime.fromtimestamp(paused.until, UTC)
        why = self._used_up if paused.cause == "refused" else paused.why
        return LimitReached(
            f"{why}; {goes_on(at, seconds)}",
            quota=self.quota.title,
            resume_after_seconds=max(1.0, seconds),
        )

    def _asked(self, name: str, cost: float, want: float) -> float | Paused:
        return self._owner.books.change(name, self.quota, lambda state: self._ask(state, cost, want))

    def _ask(self, state: State, cost: float, want: float) -> tuple[State, float | Paused]:
        """Tell what is known, give back what is left, and ask for more: one change of the row."""
        now, asker = self._owner.now(), self._owner.asker
        state = self._with_told(self._given_back(state, now), now)
        state = self._with_wants(state, now)
        self.a_day[asker.lane] = budget.left_a_day(state, self.quota, asker, now)
        place = asker.connection  # One slice at a time works with a connection.
        state, entered = budget.started(state, self.quota, asker, place, now)
        if isinstance(entered, Paused):
            self._has_place = False
            return state, entered
        granted = want
        after, answer = budget.take(state, self.quota, asker, want, now)
        if isinstance(answer, Paused) and want > cost:
            granted = float(cost)
            after, answer = budget.take(state, self.quota, asker, cost, now)
        if isinstance(answer, Granted):
            self._has_place = self.quota.at_once is not None
            return after, granted
        self._has_place = False
        return budget.ended(after, place), answer

    def _given_back(self, state: State, now: float) -> State:
        left, self._granted = self._granted, 0.0
        if left <= _DUST or not self.quota.windows:
            return state  # What a bucket was granted leaks away by itself.
        return budget.returned(state, self.quota, self._owner.asker, left, now)

    def _with_told(self, state: State, now: float) -> State:
        told, self._told = self._told, _Told()
        at = min(told.at, now)
        if told.usage is not None:
            state = budget.told_usage(state, self.quota, *told.usage, at)
        if told.level is not None:
            state = budget.told_level(state, self.quota, *told.level, at, cost=told.answered)
        return state

    def _with_wants(self, state: State, now: float) -> State:
        owner = self._owner
        wants = owner.wants
        if wants is None or self._name is None:
            return state
        at = self._wanted_at.get(self._name)
        if at is not None and 0 <= now - at < _WANTS_SECONDS and at >= owner.wants_at:
            return state
        self._wanted_at[self._name] = now
        return budget.wanting(state, owner.connection, wants, now, weight=owner.weight)

    def told_usage(self, used: int, allowed: int) -> None:
        """Note everybody's use; at once where somebody else has used much."""
        with self._lock:
            before, self._usage = self._usage, (used, allowed)
            self._told.usage, self._told.at = (used, allowed), self._owner.now()
            others = allowed if before is None else used - before[0] - self._since_usage
            self._since_usage = 0.0
            much = max(_OTHERS_CALLS, allowed * _OTHERS_SHARE)
            if others >= much or (before is not None and before[1] != allowed):
                self._write(lambda state, now: self._with_told(self._given_back(state, now), now))

    def told_level(self, cost: float, level: float, size: float, drips_per_second: float) -> None:
        """Note how full the bucket is."""
        with self._lock:
            self._told.level, self._told.at = (level, size, drips_per_second), self._owner.now()
            self._told.answered += cost

    def refused(self, seconds: float | None) -> None:
        """Let everybody wait."""
        with self._lock:
            self._write(
                lambda state, now: budget.told_to_wait(
                    self._with_told(self._given_back(state, now), now), seconds, now
                )
            )

    def settle(self) -> None:
        """Give back what was not spent, and the place among requests under way."""
        with self._lock:
            self._size = 1.0
            if self._has_place or (self._granted > _DUST and self.quota.windows):
                self._has_place = False
                self._write(
                    lambda state, now: budget.ended(
                        self._with_told(self._given_back(state, now), now), self._owner.connection
                    )
                )
            self._granted = 0.0

    def _write(self, change: Callable[[State, float], State]) -> None:
        if self._name is not None:
            now = self._owner.now()
            self._owner.books.change(self._name, self.quota, lambda state: (change(state, now), None))


class Spending:
    """What one connection spends. `begin` says what the next calls are for, `settle` that they are over."""

    def __init__(
        self,
        books: Books,
        connection: str,
        caps: Caps,
        clock: Clock,
        *,
        till: str,
        weight: float = 1.0,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self.books = books
        self.connection = connection
        self.clock = clock
        self.weight = weight
        self.patience_seconds = patience_seconds
        # Nobody waits for others unless somebody says what the calls are for: a person does not.
        self.asker = Asker(connection, "urgent")
        self.wants: Mapping[Lane, float] | None = None
        self.wants_at = 0.0
        self.spent: dict[tuple[str, Lane], float] = {}
        self.has_looked = False  # whether the remote was asked since `begin` what is used, and told
        self.crm = OrgCalls(self, caps)
        self.till = AccountRate(self, caps, till)

    def now(self) -> float:
        """Return the moment by which windows are counted."""
        return self.clock.now().timestamp()

    def begin(self, lane: Lane, *, busy: bool = False) -> None:
        """Say what the next calls are for; `busy` while the shops have customers at the till."""
        self.settle()
        self.has_looked = False
        self.asker = Asker(self.connection, lane, busy)

    def settle(self) -> None:
        """End a slice: what was granted and not spent goes back."""
        with suppress(SyncError):
            # What cannot be given back now is missing until its window has passed, and nothing else.
            self.crm.settle()
            self.till.settle()

    def want(self, a_day: Mapping[Lane, float]) -> None:
        """Say what this connection wants of the CRM's day, by lane: the higher lanes are kept theirs."""
        if self.wants is None or dict(self.wants) != dict(a_day):
            self.wants_at = self.now()
        self.wants = a_day

    def left_a_day(self) -> float | None:
        """Return what the present lane may count on of the CRM's calls of a day, as last seen; or None."""
        return self.crm.calls.a_day.get(self.asker.lane)

    def count(self, name: str, cost: float) -> None:
        """Add up what was spent, by quota and lane."""
        key = (name.partition(" ")[0], self.asker.lane)
        self.spent[key] = self.spent.get(key, 0.0) + cost

    def close(self) -> None:
        """Give everything back and let the books go."""
        self.settle()
        self.books.close()


_ORG = "The Salesforce org has used up its API calls of the last 24 hours"
_ACCOUNT = "Lightspeed's rate limit is used up"


class OrgCalls:
    """The CRM's quotas as its connector sees them (`model.quota.CrmQuota`)."""

    def __init__(self, owner: Spending, caps: Caps) -> None:
        self.calls = Purse(owner, quota.crm_calls(caps), used_up=_ORG)
        self._batches = Purse(owner, quota.crm_batches(caps), used_up=_ORG)

    def asks(self, look: Callable[[], None]) -> None:
        """Name what asks the org what is used of its day, by one call."""
        self.calls.look = look

    def take(self, org: str) -> None:
        """Let one call go out."""
        self.calls.take(f"crm {org} calls", 1.0)

    def take_batches(self, org: str, batches: int) -> None:
        """Let rows go out that take so many bulk batches."""
        if batches:
            self._batches.take(f"crm {org} batches", float(batches))

    def told(self, used: int, allowed: int) -> None:
        """Note what an answer says of the day."""
        self.calls.told_usage(used, allowed)

    def refused(self, seconds: float | None) -> None:
        """Note that the org takes no more calls."""
        self.calls.refused(seconds)

    def settle(self) -> None:
        """End a slice."""
        self.calls.settle()
        self._batches.settle()


class AccountRate:
    """The till's quotas as its connector sees them (`model.quota.TillQuota`)."""

    def __init__(self, owner: Spending, caps: Caps, account: str) -> None:
        self._account = account
        self.calls = Purse(owner, quota.till_calls(caps), used_up=_ACCOUNT)
        self._drips = Purse(owner, quota.till_drips(), used_up=_ACCOUNT)
        self._owner = owner

    @property
    def urgent(self) -> bool:
        """Whether a person waits for what the next requests are for."""
        return self._owner.asker.lane == "urgent"

    def take(self, cost: float) -> None:
        """Let a request of this cost go out."""
        self.calls.take(f"till {self._account} calls", 1.0)
        self._drips.take(f"till {self._account} rate", cost)

    def told(self, cost: float, level: float, size: float, drips_per_second: float) -> None:
        """Note how full the bucket is."""
        self._drips.told_level(cost, level, size, drips_per_second)

    def refused(self, seconds: float | None) -> None:
        """Note a refusal."""
        self._drips.refused(seconds)

    def settle(self) -> None:
        """End a slice."""
        self.calls.settle()
        self._drips.settle()


def account_name(account: str, client: str) -> str:
    """Return under which name the quota of a till account and API client is kept."""
    return f"{account}/{blake2b(client.encode(), digest_size=4).hexdigest()}"


# --- for those who look --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Left:
    """What there is of one window of one quota: all lanes and connections together."""

    name: str
    title: str
    window: str
    cap: float
    spent: float

    @property
    def left(self) -> float:
        """Return what is not spent of it."""
        return max(0.0, self.cap - self.spent)


def standings(service: Service, now: float) -> list[Left]:
    """Return what is left of every quota and window of an installation."""
    found: list[Left] = []
    for name, row in sorted(service.budgets().items()):
        kept = msgspec.json.decode(row, type=Kept)
        found += [
            Left(name, kept.quota.title, window, cap, spent)
            for window, cap, spent in budget.standing(kept.state, kept.quota, now)
        ]
    return found
