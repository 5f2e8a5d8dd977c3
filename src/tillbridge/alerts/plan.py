"""Decide what one channel has to be told now: each new cause once, the rest in a digest, silence and its end.

No I/O and no clock: what there is, what was told, and the moment are arguments.
Each piece of news carries the notices to keep once the channel took it; until
then nothing is told, and the next run decides the same again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from tillbridge.store.days import HeldUp, StoreDay
from tillbridge.store.notices import Cause, Notice, Pulse
from tillbridge.store.service import Rested
from tillbridge.sync.freshness import SLOW_SECONDS, Burning

# A stream is silent when so many of its polls in a row are overdue.
POLLS_MISSED = 3

# A new cause has a message of its own, but a bad day has many causes, and nobody reads the eleventh mail.
NEW_MESSAGES_MAX = 10

# A digest that would say the same as the last one goes out once a day.
UNCHANGED_SECONDS = 24 * 3600.0

# A certificate that fails is tried again by the next run; only one that stays impossible is news.
HELD_UP_SECONDS = 3 * 3600.0

# By which poll the records of a kind come.
STREAM_OF = {"sale": "sales", "customer": "customers"}

NOTHING_RESTED = Rested()

_DIGEST = "digest"
_NOT_PROVEN = "certificate"


@dataclass(frozen=True, slots=True)
class NewCause:
    """Something is refused for a reason that nobody was told of."""

    cause: Cause


@dataclass(frozen=True, slots=True)
class MoreCauses:
    """So many new causes at once that the later ones share a message."""

    causes: tuple[Cause, ...]


@dataclass(frozen=True, slots=True)
class Digest:
    """Causes that people know of, and that are still open."""

    causes: tuple[Cause, ...]


@dataclass(frozen=True, slots=True)
class GaveUp:
    """Records of a known cause are no longer tried again: `problems`, by id."""

    cause: Cause
    problems: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Silent:
    """Streams that have not been polled with success for too long."""

    pulses: tuple[Pulse, ...]


@dataclass(frozen=True, slots=True)
class Recovered:
    """Streams that were silent, and are polled again."""

    pulses: tuple[Pulse, ...]


@dataclass(frozen=True, slots=True)
class Disagrees:
    """A store's business day on which both systems disagree."""

    found: StoreDay


@dataclass(frozen=True, slots=True)
class NotProven:
    """The daily certificate cannot be made."""

    held_up: HeldUp


@dataclass(frozen=True, slots=True)
class HeldBack:
    """Changes of customers that wait for a person: the plan's number, of how many, and why."""

    plan: int
    customers: int
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Late:
    """Too many records of a kind come later than promised."""

    burning: Burning


@dataclass(frozen=True, slots=True)
class InTimeAgain:
    """Records of a kind come in time again."""

    kind: str


News = (
    NewCause
    | MoreCauses
    | Digest
    | GaveUp
    | Silent
    | Recovered
    | Disagrees
    | NotProven
    | HeldBack
    | Late
    | InTimeAgain
)


@dataclass(frozen=True, slots=True)
class Due:
    """One message to send, and what to remember of it after the channel took it."""

    news: News
    then: tuple[Notice, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a channel is due. `over`: topics to forget, so that they are news when they return."""

    due: tuple[Due, ...]
    over: tuple[str, ...] = ()


def plan(
    causes: Sequence[Cause],
    pulses: Sequence[Pulse],
    told: Mapping[str, Notice],
    *,
    now: float,
    digest_seconds: float,
    days: Sequence[StoreDay] = (),
    held_up: HeldUp | None = None,
    held: Sequence[HeldBack] = (),
    late: Sequence[Burning] = (),
    rested: Rested = NOTHING_RESTED,
) -> Plan:
    """Decide what one channel is to be told. `held_up`: why the daily certificate cannot be made.

    `rested`: what people let rest on purpose, which is neither silent nor late.
    """
    new = [cause for cause in causes if topic_of(cause) not in told]
    known = [cause for cause in causes if topic_of(cause) in told]
    due = [
        *_streams(
            [each for each in pulses if each.stream not in rested.paused], told, now, rested.resumed_at
        ),
        *_new(new, now),
        *_gave_up(known, told, now),
        *_digest(known, told, now, digest_seconds),
        *_days(days, told, now),
        *_not_proven(held_up, told, now),
        *_held(held, told, now),
        *_late(late, told, now, {kind for kind, stream in STREAM_OF.items() if stream in rested.paused}),
    ]
    over = [*_over(causes, told, now, digest_seconds), *_days_over(days, held_up, told)]
    waiting = {_plan_topic(each) for each in held}
    over += [topic for topic in told if topic.startswith("plan ") and topic not in waiting]
    return Plan(tuple(due), tuple(over))


def topic_of(cause: Cause) -> str:
    """Return the topic under which a cause is remembered."""
    return f"cause {cause.cause}"


def _days(days: Sequence[StoreDay], told: Mapping[str, Notice], now: float) -> Iterable[Due]:
    for each in days:
        if _day_topic(each) not in told:
            yield Due(Disagrees(each), (Notice(_day_topic(each), "told", now, each.receipts),))


def _day_topic(each: StoreDay) -> str:
    return f"day {each.day} {each.store}"


def _held(held: Sequence[HeldBack], told: Mapping[str, Notice], now: float) -> Iterable[Due]:
    """Tell of each plan once, however it grows: whoever looks sees all of it."""
    for each in held:
        if _plan_topic(each) not in told:
            yield Due(each, (Notice(_plan_topic(each), "told", now, each.customers),))


def _late(
    late: Sequence[Burning], told: Mapping[str, Notice], now: float, resting: Collection[str]
) -> Iterable[Due]:
    """Tell once that a kind comes late, and once that it no longer does; nothing of those that rest."""
    burning = {_LATE + kind for kind in (*(each.kind for each in late), *resting)}
    for each in (each for each in late if each.kind not in resting):
        topic = _LATE + each.kind
        if _was_silent(told, now):
            continue  # That is why they are late, and it was told.
        if topic not in told or told[topic].state != "late":
            yield Due(Late(each), (Notice(topic, "late", now, each.late),))
    for topic, notice in told.items():
        if topic.startswith(_LATE) and notice.state == "late" and topic not in burning:
            yield Due(InTimeAgain(topic.removeprefix(_LATE)), (Notice(topic, "recovered", now, 1),))


def _was_silent(told: Mapping[str, Notice], now: float) -> bool:
    return any(
        notice.state == "silent" or now - notice.told_at < SLOW_SECONDS
        for topic, notice in told.items()
        if topic.startswith("stream ")
    )


_LATE = "fresh "


def _plan_topic(each: HeldBack) -> str:
    return f"plan {each.plan}"


def _not_proven(held_up: HeldUp | None, told: Mapping[str, Notice], now: float) -> Iterable[Due]:
    if held_up is not None and now - held_up.since >= HELD_UP_SECONDS and _NOT_PROVEN not in told:
        yield Due(NotProven(held_up), (Notice(_NOT_PROVEN, "told", now, 1),))


def _days_over(days: Sequence[StoreDay], held_up: HeldUp | None, told: Mapping[str, Notice]) -> Iterable[str]:
    """Return the days that agree by now, and a certificate that can be made again."""
    differing = {_day_topic(each) for each in days}
    yield from (topic for topic in told if topic.startswith("day ") and topic not in differing)
    if held_up is None and _NOT_PROVEN in told:
        yield _NOT_PROVEN


def _streams(
    pulses: Sequence[Pulse], told: Mapping[str, Notice], now: float, resumed_at: float
) -> Iterable[Due]:
    fell_silent, came_back, still_silent = [], [], False
    for pulse in pulses:
        before = told.get(f"stream {pulse.stream}")
        was_silent = before is not None and before.state == "silent"
        patience = POLLS_MISSED * pulse.interval_seconds
        is_silent = now - pulse.polled_at > patience
        # What goes on after a rest has as long to show itself as it always has.
        if is_silent and not was_silent and now - resumed_at > patience:
            fell_silent.append(pulse)
        still_silent = still_silent or (is_silent and was_silent)
        if was_silent and not is_silent:
            came_back.append(pulse)
    # One run reads every stream, so what stands in the way of one does so for all; the slower ones only
    # notice it later, and that is no news.
    if fell_silent and not still_silent:
        yield Due(Silent(tuple(fell_silent)), _of_streams(fell_silent, "silent", now))
    if came_back:
        yield Due(Recovered(tuple(came_back)), _of_streams(came_back, "recovered", now))


def _of_streams(pulses: Sequence[Pulse], state: str, now: float) -> tuple[Notice, ...]:
    return tuple(Notice(f"stream {pulse.stream}", state, now, 1) for pulse in pulses)


def _new(new: Sequence[Cause], now: float) -> Iterable[Due]:
    alone = new if len(new) <= NEW_MESSAGES_MAX else new[: NEW_MESSAGES_MAX - 1]
    for cause in alone:
        yield Due(NewCause(cause), tuple(_introduced(cause, now)))
    if together := new[len(alone) :]:
        then = (notice for cause in together for notice in _introduced(cause, now))
        yield Due(MoreCauses(tuple(together)), tuple(then))


def _introduced(cause: Cause, now: float) -> Iterable[Notice]:
    """Remember a cause, and whatever has been given up already: its first message says so."""
    yield Notice(topic_of(cause), "told", now, cause.count)
    yield from _given_up(cause.gave_up, now)


def _gave_up(known: Sequence[Cause], told: Mapping[str, Notice], now: float) -> Iterable[Due]:
    for cause in known:
        if news := tuple(problem for problem in cause.gave_up if _gave_up_topic(problem) not in told):
            yield Due(GaveUp(cause, news), tuple(_given_up(news, now)))


def _given_up(problems: Iterable[int], now: float) -> Iterable[Notice]:
    return (Notice(_gave_up_topic(problem), "gave_up", now, 1) for problem in problems)


def _gave_up_topic(problem: int) -> str:
    return f"gave up {problem}"


def _digest(
    known: Sequence[Cause], told: Mapping[str, Notice], now: float, digest_seconds: float
) -> Iterable[Due]:
    last = told.get(_DIGEST)
    if last is not None and now - last.told_at < digest_seconds:
        return
    if any(_is_due(cause, told[topic_of(cause)], now, digest_seconds) for cause in known):
        then = [Notice(topic_of(cause), "digested", now, cause.count) for cause in known]
        total = sum(cause.count for cause in known)
        yield Due(Digest(tuple(known)), (*then, Notice(_DIGEST, "digested", now, total)))


def _is_due(cause: Cause, told: Notice, now: float, digest_seconds: float) -> bool:
    """Say whether a cause is worth a digest. One that stands as in the last digest can wait for the day."""
    same = told.state == "digested" and told.count == cause.count
    wait = max(digest_seconds, UNCHANGED_SECONDS) if same else digest_seconds
    return now - told.told_at >= wait


def _over(
    causes: Sequence[Cause], told: Mapping[str, Notice], now: float, digest_seconds: float
) -> Iterable[str]:
    """Return what can be forgotten. A cause that goes and comes within a digest's time is no news."""
    open_topics = {topic_of(cause) for cause in causes}
    gave_up = {_gave_up_topic(problem) for cause in causes for problem in cause.gave_up}
    for topic, notice in told.items():
        kind = topic.partition(" ")[0]
        if kind == "cause" and topic not in open_topics and now - notice.told_at >= digest_seconds:
            yield topic
        if kind == "gave" and topic not in gave_up:
            yield topic
