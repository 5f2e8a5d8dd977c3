"""What a channel is told and when: each new cause once, a digest, giving up, silence and its end."""

import pytest

from tillbridge.alerts.plan import (
    NEW_MESSAGES_MAX,
    NOTHING_RESTED,
    Digest,
    Disagrees,
    Due,
    GaveUp,
    HeldBack,
    InTimeAgain,
    Late,
    MoreCauses,
    NewCause,
    NotProven,
    Plan,
    Recovered,
    Silent,
    plan,
)
from tillbridge.store.days import HeldUp, StoreDay
from tillbridge.store.notices import Cause, Example, Notice, Pulse
from tillbridge.store.service import Rested
from tillbridge.sync.freshness import Burning

HOUR = 3_600.0
NOW = 1_000_000.0
SIX = 6 * HOUR


def cause(name, count=1, gave_up=()):
    return Cause(
        cause=name,
        object="Sales_Transaction__c",
        code="X",
        fields=(),
        count=count,
        first_at=0.0,
        last_at=0.0,
        examples=(Example(problem=1, kind="sale", till_id="1"),),
        gave_up=gave_up,
    )


def told(name, hours_ago, state="told", count=1):
    return Notice(f"cause {name}", state, NOW - hours_ago * HOUR, count)


def digested(hours_ago, count=1):
    return Notice("digest", "digested", NOW - hours_ago * HOUR, count)


def gave_up(problem, hours_ago=1):
    return Notice(f"gave up {problem}", "gave_up", NOW - hours_ago * HOUR, 1)


def planned(causes=(), pulses=(), notices=()):
    return plan(causes, pulses, {notice.topic: notice for notice in notices}, now=NOW, digest_seconds=SIX)


A, B = cause("a"), cause("b")


@pytest.mark.parametrize(
    ("causes", "notices", "expected"),
    [
        pytest.param([], [], [], id="nothing open, nothing told"),
        pytest.param([A], [], [NewCause(A)], id="a cause seen for the first time is told"),
        pytest.param([A, B], [], [NewCause(A), NewCause(B)], id="two new causes are two messages"),
        pytest.param([A], [told("a", 1)], [], id="a cause that was told is not told again"),
        pytest.param([A, B], [told("a", 1)], [NewCause(B)], id="only the cause that is new is told"),
        pytest.param(
            [cause("a", 500)], [told("a", 1)], [], id="more records of a known cause wait for the digest"
        ),
        pytest.param([A], [told("a", 5.99)], [], id="before six hours there is no digest"),
        pytest.param(
            [A], [told("a", 6)], [Digest((A,))], id="after six hours a cause still open is digested"
        ),
        pytest.param(
            [A, B],
            [told("a", 6), told("b", 1)],
            [Digest((A, B))],
            id="a digest holds all known causes, also those told lately",
        ),
        pytest.param(
            [cause("a", 9)],
            [told("a", 5, "digested"), digested(5)],
            [],
            id="five hours after a digest there is no other one",
        ),
        pytest.param(
            [cause("a", 9)],
            [told("a", 6, "digested"), digested(6)],
            [Digest((cause("a", 9),))],
            id="six hours after a digest, a cause that has grown is digested again",
        ),
        pytest.param(
            [A],
            [told("a", 6, "digested"), digested(6)],
            [],
            id="a digest that would say the same waits",
        ),
        pytest.param(
            [A],
            [told("a", 24, "digested"), digested(24)],
            [Digest((A,))],
            id="a digest that would say the same goes out once a day",
        ),
        pytest.param(
            [A, B],
            [told("a", 7), digested(5)],
            [NewCause(B)],
            id="a new cause does not wait for the digest, nor brings one forward",
        ),
        pytest.param([], [told("a", 30)], [], id="a cause that is no longer open is not digested"),
        pytest.param(
            [cause("a", 3, (7, 8))],
            [told("a", 1)],
            [GaveUp(cause("a", 3, (7, 8)), (7, 8))],
            id="records given up together are one message",
        ),
        pytest.param(
            [cause("a", 3, (7, 8))],
            [told("a", 1), gave_up(7)],
            [GaveUp(cause("a", 3, (7, 8)), (8,))],
            id="only the record given up since is told",
        ),
        pytest.param([cause("a", 3, (7,))], [told("a", 1), gave_up(7)], [], id="giving up is told only once"),
        pytest.param(
            [cause("a", 3, (7,))],
            [],
            [NewCause(cause("a", 3, (7,)))],
            id="the first message of a cause tells of giving up too",
        ),
    ],
)
def test_causes(causes, notices, expected):
    assert expected == [due.news for due in planned(causes, notices=notices).due]


SALES = Pulse("sales", NOW - 180, 60)
LATE = Pulse("sales", NOW - 181, 60)
STOCK_LATE = Pulse("stock", NOW - 3.5 * HOUR, HOUR)


@pytest.mark.parametrize(
    ("pulses", "notices", "expected"),
    [
        pytest.param([], [], [], id="a stream that was never polled cannot fall silent"),
        pytest.param([SALES], [], [], id="three intervals are in time"),
        pytest.param([LATE], [], [Silent((LATE,))], id="after three intervals the stream is silent"),
        pytest.param(
            [LATE, STOCK_LATE],
            [],
            [Silent((LATE, STOCK_LATE))],
            id="streams that fall silent together are one message",
        ),
        pytest.param(
            [LATE, STOCK_LATE],
            [Notice("stream sales", "silent", NOW - 60, 1)],
            [],
            id="a slower stream that notices it later is no news: whatever it is, it was told",
        ),
        pytest.param(
            [SALES],
            [Notice("stream sales", "silent", NOW - 60, 1)],
            [Recovered((SALES,))],
            id="its end is told",
        ),
        pytest.param(
            [SALES],
            [Notice("stream sales", "recovered", NOW - 60, 1)],
            [],
            id="its end is told once",
        ),
        pytest.param(
            [LATE],
            [Notice("stream sales", "recovered", NOW - HOUR, 1)],
            [Silent((LATE,))],
            id="another silence is told again",
        ),
        pytest.param(
            [LATE, Pulse("stock", NOW, HOUR)],
            [Notice("stream stock", "silent", NOW - 60, 1)],
            [Silent((LATE,)), Recovered((Pulse("stock", NOW, HOUR),))],
            id="one falls silent as another comes back",
        ),
    ],
)
def test_streams(pulses, notices, expected):
    assert expected == [due.news for due in planned(pulses=pulses, notices=notices).due]


SILENT = Notice("stream sales", "silent", NOW - 60, 1)


@pytest.mark.parametrize(
    ("rested", "notices", "expected"),
    [
        pytest.param(Rested(frozenset({"sales"})), [], [], id="what a person paused is not silent"),
        pytest.param(
            Rested(frozenset({"stock"})), [], [Silent((LATE,))], id="that another stream rests is no excuse"
        ),
        pytest.param(
            Rested(frozenset({"sales"})), [SILENT], [], id="nobody hears of its end while it rests, either"
        ),
        pytest.param(
            Rested(resumed_at=NOW - 180), [], [], id="after a rest it has as long as ever to show itself"
        ),
        pytest.param(
            Rested(resumed_at=NOW - 181), [], [Silent((LATE,))], id="and no longer, also after a rest"
        ),
    ],
)
def test_silence_on_a_person_s_wish_is_nobody_s_worry(rested, notices, expected):
    known = {notice.topic: notice for notice in notices}

    found = plan([], [LATE], known, now=NOW, digest_seconds=SIX, rested=rested)

    assert expected == [due.news for due in found.due]


def test_what_a_channel_took_is_not_planned_again():
    causes, pulses = [cause("a", 3, (7,)), B], [LATE, STOCK_LATE]
    first = planned(causes, pulses)
    kept = [notice for due in first.due for notice in due.then]

    assert 3 == len(first.due)
    assert Plan(()) == planned(causes, pulses, kept)


def test_a_message_that_was_not_taken_is_planned_again():
    first = planned([A, B])

    assert [first.due[1]] == list(planned([A, B], notices=first.due[0].then).due)


def test_a_bad_day_with_many_new_causes_does_not_bring_as_many_messages():
    many = [cause(f"c{number:02}") for number in range(40)]
    due = planned(many).due

    assert NEW_MESSAGES_MAX == len(due)
    assert MoreCauses(tuple(many[NEW_MESSAGES_MAX - 1 :])) == due[-1].news
    assert Plan(()) == planned(many, notices=[notice for each in due for notice in each.then])


@pytest.mark.parametrize(
    ("causes", "notices", "expected"),
    [
        pytest.param([A], [told("a", 30)], (), id="an open cause is remembered"),
        pytest.param([], [told("a", 5)], (), id="a cause that closed lately is remembered"),
        pytest.param([], [told("a", 6)], ("cause a",), id="a cause closed for long is news when it returns"),
        pytest.param(
            [A], [told("a", 1), gave_up(7)], ("gave up 7",), id="a revived record may be given up anew"
        ),
        pytest.param([], [digested(99), Notice("stream sales", "silent", 0.0, 1)], (), id="the rest stays"),
    ],
)
def test_what_is_forgotten(causes, notices, expected):
    assert expected == planned(causes, notices=notices).over


def test_a_digest_moves_all_of_its_causes_on():
    (due,) = planned([cause("a", 4), B], notices=[told("a", 7), told("b", 2)]).due

    assert (
        Due(
            Digest((cause("a", 4), B)),
            (
                Notice("cause a", "digested", NOW, 4),
                Notice("cause b", "digested", NOW, 1),
                Notice("digest", "digested", NOW, 5),
            ),
        )
        == due
    )


# --- certificates -------------------------------------------------------------------------------------


def store_day(store, day="2026-11-20"):
    return StoreDay(store=store, day=day, certificate=4, figures=2, reasons={"late": 1}, found_at=NOW)


def planned_days(days=(), held_up=None, notices=()):
    told_before = {notice.topic: notice for notice in notices}
    return plan([], [], told_before, now=NOW, digest_seconds=SIX, days=days, held_up=held_up)


def test_each_store_day_that_differs_is_one_message_and_one_only():
    first, second = store_day("2"), store_day("3")
    found = planned_days([first, second])
    assert [Disagrees(first), Disagrees(second)] == [due.news for due in found.due]
    notices = [notice for due in found.due for notice in due.then]
    assert Plan(()) == planned_days([first, second], notices=notices)

    assert ("day 2026-11-20 2",) == planned_days([second], notices=notices).over, "it agrees by now"


@pytest.mark.parametrize(("hours", "expected"), [(2.9, 0), (3, 1)])
def test_a_certificate_that_stays_impossible_is_told_once(hours, expected):
    held_up = HeldUp(NOW - hours * HOUR, "the org is away")
    found = planned_days(held_up=held_up)
    assert expected == len(found.due)
    notices = [notice for due in found.due for notice in due.then]
    assert [NotProven(held_up)] * expected == [due.news for due in found.due]
    if notices:
        assert Plan(()) == planned_days(held_up=held_up, notices=notices)
        assert ("certificate",) == planned_days(notices=notices).over


# --- what was held back ----------------------------------------------------------------------------


def test_a_plan_that_was_held_back_is_told_once_and_forgotten_when_it_is_decided():
    held = HeldBack(3, 12, ("first_till_write",))
    first = plan([], [], {}, now=NOW, digest_seconds=SIX, held=[held])
    assert Plan((Due(held, (Notice("plan 3", "told", NOW, 12),)),)) == first

    known = {"plan 3": Notice("plan 3", "told", NOW, 12)}
    grown = HeldBack(3, 40, ("first_till_write",))
    assert Plan(()) == plan([], [], known, now=NOW + SIX, digest_seconds=SIX, held=[grown])
    assert Plan((), ("plan 3",)) == plan([], [], known, now=NOW + SIX, digest_seconds=SIX)


BURNING = Burning(kind="sale", late=9, of=20, hours=1.0, seconds=120.0, share=0.95, stage="seen")


def late(*burning, notices=(), rested=NOTHING_RESTED):
    known = {notice.topic: notice for notice in notices}
    found = plan((), (), known, now=NOW, digest_seconds=SIX, late=burning, rested=rested)
    return [each.news for each in found.due]


@pytest.mark.parametrize(
    ("burning", "notices"),
    [
        pytest.param([BURNING], [], id="receipts whose polls a person paused are not late"),
        pytest.param([], [Notice("fresh sale", "late", NOW - HOUR, 9)], id="nor are they in time again"),
    ],
)
def test_what_rests_is_not_late(burning, notices):
    assert [] == late(*burning, notices=notices, rested=Rested(frozenset({"sales"})))


def fresh(state, hours_ago=1.0):
    return Notice("fresh sale", state, NOW - hours_ago * HOUR, 9)


@pytest.mark.parametrize(
    ("burning", "notices", "expected"),
    [
        pytest.param([], [], [], id="in time, and always was"),
        pytest.param([BURNING], [], [Late(BURNING)], id="late for the first time is told"),
        pytest.param([BURNING], [fresh("late")], [], id="late still is not told again"),
        pytest.param([], [fresh("late")], [InTimeAgain("sale")], id="in time again is told"),
        pytest.param([], [fresh("recovered")], [], id="once"),
        pytest.param([BURNING], [fresh("recovered")], [Late(BURNING)], id="late once more is news"),
        pytest.param(
            [BURNING],
            [Notice("stream sales", "silent", NOW - 9 * HOUR, 1)],
            [],
            id="while a stream is silent, people know why",
        ),
        pytest.param(
            [BURNING],
            [Notice("stream sales", "recovered", NOW - HOUR, 1)],
            [],
            id="what comes behind a silence that was told is late for its sake",
        ),
    ],
)
def test_lateness_is_told_once_and_its_end_once(burning, notices, expected):
    assert expected == late(*burning, notices=notices)
