"""Who may spend scarce calls: caps, floors, shares, buckets, what others use, a clock that is set back."""

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillbridge.sync.budget import (
    ended,
    left,
    left_a_day,
    look,
    may_spend,
    returned,
    spent,
    started,
    take,
    told_level,
    told_to_wait,
    told_usage,
    wanting,
)
from tillbridge.sync.ledger import EMPTY, decode, encode
from tillbridge.sync.quota import (
    DAY,
    HOUR,
    LANES,
    MINUTE,
    SECOND,
    Asker,
    Caps,
    Granted,
    Leak,
    Paused,
    Quota,
    Window,
    crm_batches,
    crm_calls,
    till_calls,
    till_drips,
)
from tillbridge.sync.windows import LOOK_SECONDS, PROBE_SECONDS, shares

NOON = 1_790_000_000.0
SALES = Asker("shop", "sales")
BACKFILL = Asker("shop", "backfill")


def day(allowed, **more):
    return Quota(title="calls", windows=(Window(name="day", seconds=DAY, allowed=allowed, **more),))


def greedy(state, quota, asker, now, *, times=10_000, cost=1.0):
    """Spend until nothing more is granted; return how much that was."""
    total = 0.0
    for _ in range(times):
        state, answer = take(state, quota, asker, cost, now)
        if isinstance(answer, Paused):
            return state, total
        total += cost
    return state, total


# --- windows -------------------------------------------------------------------------------------


def test_an_unused_quota_grants_and_says_what_is_left():
    answer = may_spend(EMPTY, day(100), Asker("shop", "urgent"), 10, NOON)

    # What the five other lanes are kept in any case is not there for anybody else.
    assert Granted(100 - 5 * 1 - 10) == answer


def test_a_window_never_gives_more_than_its_cap():
    state, total = greedy(EMPTY, day(100), Asker("shop", "urgent"), NOON)

    assert 95 == total
    assert isinstance(may_spend(state, day(100), Asker("shop", "urgent"), 1, NOON + HOUR), Paused)


def test_a_spent_window_says_when_it_opens_and_keeps_its_word():
    quota = day(100)
    state, _ = greedy(EMPTY, quota, BACKFILL, NOON)
    state, _ = greedy(state, quota, BACKFILL, NOON + 6 * HOUR)

    paused = may_spend(state, quota, BACKFILL, 1, NOON + 6 * HOUR)

    assert isinstance(paused, Paused)
    assert NOON + DAY < paused.until <= NOON + DAY + HOUR
    assert "lanes" == paused.cause
    assert isinstance(may_spend(state, quota, BACKFILL, 1, paused.until), Granted)


def test_a_limit_that_is_raised_counts_at_once():
    state, _ = greedy(EMPTY, day(100), SALES, NOON)

    assert isinstance(may_spend(state, day(100), SALES, 1, NOON), Paused)
    assert isinstance(may_spend(state, day(200), SALES, 1, NOON), Granted)


def test_a_limit_that_is_lowered_below_what_is_spent_lets_nothing_pass():
    state, _ = greedy(EMPTY, day(100), SALES, NOON)

    paused = may_spend(state, day(50), SALES, 1, NOON)

    assert isinstance(paused, Paused)
    assert ("ours", "calls of a day: the 50 that are ours are spent") == (paused.cause, paused.why)


def test_what_was_noted_and_not_spent_is_given_back_and_no_more():
    quota = day(100)
    before = left(EMPTY, quota, SALES, NOON)
    state = spent(EMPTY, quota, SALES, 10, NOON)

    assert before - 3 == left(returned(state, quota, SALES, 7, NOON), quota, SALES, NOON)
    assert before == left(returned(state, quota, SALES, 70, NOON), quota, SALES, NOON)


@pytest.mark.parametrize("seconds", [SECOND, MINUTE])
def test_in_a_short_window_the_lower_lanes_leave_the_last_part_alone(seconds):
    quota = Quota(title="calls", windows=(Window(name="short", seconds=seconds, allowed=20),))
    state, backfill = greedy(EMPTY, quota, BACKFILL, NOON)
    state, sales = greedy(state, quota, SALES, NOON)
    _, urgent = greedy(state, quota, Asker("shop", "urgent"), NOON)

    assert (12, 6, 1) == (backfill, sales, urgent)


def test_one_call_a_second_is_one_call_a_second():
    quota = till_calls(Caps(till_calls_a_second=1))
    state, first = take(EMPTY, quota, BACKFILL, 1, NOON)
    state, second = take(state, quota, BACKFILL, 1, NOON + 0.5)

    assert isinstance(first, Granted)
    assert isinstance(second, Paused)
    assert isinstance(may_spend(state, quota, BACKFILL, 1, NOON + 1.2), Granted)


def test_without_caps_the_tills_calls_are_not_held():
    assert Granted(float("inf")) == may_spend(EMPTY, till_calls(Caps()), BACKFILL, 1_000_000, NOON)


def test_a_month_and_a_day_both_hold():
    quota = till_calls(Caps(till_calls_a_day=1_000, till_calls_a_month=2_000))
    state, total = EMPTY, 0.0
    for number in range(29):
        state, some = greedy(state, quota, Asker("shop", "urgent"), NOON + number * DAY * 1.05, cost=10)
        total += some

    assert 1_500 < total <= 2_000


# --- lanes and connections -----------------------------------------------------------------------

WANTS = {"urgent": 20, "sales": 300, "customers": 400, "catalog": 50, "sweep": 100, "backfill": 1e9}


@pytest.mark.parametrize(
    ("cap", "expected"),
    [
        pytest.param(
            2_000,
            {"urgent": 20, "sales": 300, "customers": 400, "catalog": 50, "sweep": 100},
            id="enough for all",
        ),
        pytest.param(
            600, {"urgent": 20, "sales": 300, "customers": 256, "catalog": 6, "sweep": 6}, id="customers slip"
        ),
        pytest.param(
            250, {"urgent": 20, "sales": 217.5, "customers": 2.5}, id="a little is left for each lane"
        ),
    ],
)
def test_what_is_wanted_is_kept_in_the_order_of_lanes(cap, expected):
    quota = day(cap)
    state = wanting(EMPTY, "shop", WANTS, NOON)
    state, _ = greedy(state, quota, BACKFILL, NOON)
    state, _ = greedy(state, quota, Asker("shop", "sweep"), NOON)

    kept = {lane: left_a_day(state, quota, Asker("shop", lane), NOON) for lane in expected}

    assert all(kept[lane] >= expected[lane] - 1e-6 for lane in expected), kept


def test_a_backfill_may_not_touch_what_another_connections_receipts_want():
    quota = day(1_000)
    state = wanting(EMPTY, "big", {"backfill": 1e9}, NOON)
    state = wanting(state, "small", {"sales": 300}, NOON)

    state, eaten = greedy(state, quota, Asker("big", "backfill"), NOON)
    _, carried = greedy(state, quota, Asker("small", "sales"), NOON)

    assert eaten <= 700
    assert carried >= 300


def test_equals_share_by_weight_and_what_one_does_not_want_is_the_others():
    wanted = {"a": (1e9, 1.0), "b": (1e9, 3.0), "c": (10.0, 1.0)}

    assert {"a": 22.5, "b": 67.5, "c": 10.0} == shares(wanted, 100)


def test_two_backfills_share_what_is_left():
    quota = day(1_000)
    state = wanting(EMPTY, "a", {"backfill": float("inf")}, NOON)
    state = wanting(state, "b", {"backfill": float("inf")}, NOON)

    state, first = greedy(state, quota, Asker("a", "backfill"), NOON)
    _, second = greedy(state, quota, Asker("b", "backfill"), NOON)

    assert first == pytest.approx(500, abs=50)
    assert second == pytest.approx(500, abs=50)


def test_a_connection_that_has_not_been_heard_of_for_days_is_kept_nothing():
    quota = day(1_000)
    state = wanting(EMPTY, "gone", {"sales": 900}, NOON)

    assert left(state, quota, BACKFILL, NOON) < 100
    assert left(state, quota, BACKFILL, NOON + 3 * DAY) > 900


def test_a_forced_customer_spends_above_every_other_lanes_floor():
    quota = day(1_000)
    state = wanting(EMPTY, "shop", WANTS, NOON)
    state, _ = greedy(state, quota, BACKFILL, NOON)

    _, urgent = greedy(state, quota, Asker("shop", "urgent"), NOON)

    assert urgent > 700


# --- what others use -----------------------------------------------------------------------------


def test_of_salesforces_day_two_fifths_are_ours():
    quota = crm_calls(Caps())
    state = told_usage(EMPTY, quota, used=0, allowed=100_000, now=NOON)

    assert left(state, quota, Asker("shop", "urgent"), NOON) == pytest.approx(40_000 * 0.95)


def test_what_other_apps_use_is_noticed_and_obeyed():
    quota = crm_calls(Caps())
    state = spent(EMPTY, quota, SALES, 1_000, NOON)
    state = told_usage(state, quota, used=91_000, allowed=100_000, now=NOON)

    # 90,000 are theirs, the last 5,000 are left alone: 5,000 are ours, of which 1,000 are spent.
    urgent = left(state, quota, Asker("shop", "urgent"), NOON)

    assert urgent == pytest.approx(4_000 - 4 * 50, abs=60)


def test_a_correction_goes_both_ways():
    quota = crm_calls(Caps())
    state = told_usage(EMPTY, quota, used=99_000, allowed=100_000, now=NOON)
    paused = may_spend(state, quota, SALES, 1, NOON)

    assert isinstance(paused, Paused)
    assert "others" == paused.cause
    assert "99,000 of 100,000 are used" in paused.why
    state = told_usage(state, quota, used=10_000, allowed=100_000, now=NOON + 60)
    assert isinstance(may_spend(state, quota, SALES, 1, NOON + 60), Granted)


def test_while_others_have_all_a_single_call_looks_again_now_and_then():
    quota = crm_calls(Caps())
    state = told_usage(EMPTY, quota, used=99_000, allowed=100_000, now=NOON)
    paused = may_spend(state, quota, SALES, 1, NOON)

    assert NOON + PROBE_SECONDS == paused.until
    state, first = take(state, quota, SALES, 1, paused.until)
    state, second = take(state, quota, SALES, 1, paused.until + 1)
    assert isinstance(first, Granted)
    assert isinstance(second, Paused)


def test_before_the_first_answer_an_org_is_taken_for_the_smallest():
    assert left(EMPTY, crm_calls(Caps()), Asker("shop", "urgent"), NOON) == pytest.approx(6_000 * 0.95)


def test_the_cap_of_ones_own_holds_whatever_the_org_allows():
    quota = crm_calls(Caps(crm_calls_a_day=1_200))
    state = told_usage(EMPTY, quota, used=0, allowed=1_000_000, now=NOON)

    _, total = greedy(state, quota, Asker("shop", "urgent"), NOON)

    assert total <= 1_200


def test_bulk_batches_are_a_quota_of_their_own():
    quota = crm_batches(Caps())
    state = told_usage(EMPTY, quota, used=14_900, allowed=15_000, now=NOON)

    assert isinstance(may_spend(state, quota, BACKFILL, 3, NOON), Paused)


def test_a_remote_that_asks_for_a_pause_gets_it_and_nobody_passes():
    state = told_to_wait(EMPTY, 90, NOON)

    paused = may_spend(state, day(100), Asker("shop", "urgent"), 1, NOON + 1)

    assert (NOON + 90, "refused") == (paused.until, paused.cause)
    assert isinstance(may_spend(state, day(100), SALES, 1, NOON + 90), Granted)
    # A clock set back by a month makes no month's pause of it.
    assert isinstance(may_spend(state, day(100), SALES, 1, NOON - 30 * DAY), Granted)


# --- buckets -------------------------------------------------------------------------------------


def test_a_bucket_fills_by_lanes_and_leaks():
    quota = till_drips()
    state, backfill = greedy(EMPTY, quota, BACKFILL, NOON, cost=2.6)
    state, sales = greedy(state, quota, SALES, NOON, cost=2.6)
    paused = may_spend(state, quota, BACKFILL, 2.6, NOON)

    assert backfill == pytest.approx(54, abs=2.6)
    assert backfill + sales == pytest.approx(81, abs=2.6)
    assert "rate" == paused.cause
    assert isinstance(may_spend(state, quota, BACKFILL, 2.6, paused.until), Granted)


def test_an_answer_tells_the_true_level_size_and_drip():
    quota = till_drips()
    state = spent(EMPTY, quota, SALES, 2.6, NOON)
    state = told_level(state, quota, 100.0, 110.0, 2.0, NOON, cost=2.6)

    paused = may_spend(state, quota, SALES, 2.6, NOON)

    assert paused.until == pytest.approx(NOON + (100 + 2.6 - 99) / 2)


def test_requests_that_are_still_out_count_beside_what_an_answer_tells():
    quota = till_drips()
    state = spent(spent(EMPTY, quota, SALES, 40, NOON), quota, SALES, 30, NOON)
    state = told_level(state, quota, 45.0, 90.0, 1.0, NOON, cost=40)

    # 45 are in the bucket, 30 on their way: 81 may be.
    assert isinstance(may_spend(state, quota, SALES, 7, NOON), Paused)
    assert isinstance(may_spend(state, quota, SALES, 6, NOON), Granted)


def test_a_busy_shop_slows_its_backfill_to_half_the_flow():
    quota, drawn = till_drips(), {False: 0.0, True: 0.0}
    for busy in drawn:
        state, now = EMPTY, NOON
        while now < NOON + HOUR:
            state, answer = take(state, quota, Asker("shop", "backfill", busy), 2.6, now)
            now = max(answer.until, now) if isinstance(answer, Paused) else now
            drawn[busy] += 0 if isinstance(answer, Paused) else 2.6

    assert drawn[False] == pytest.approx(3_600 + 54, abs=5)
    assert drawn[True] == pytest.approx(1_800 + 27, abs=5)


def test_one_connections_backfill_leaves_room_in_the_bucket_for_anothers():
    quota = till_drips()
    state = wanting(EMPTY, "a", {"backfill": 1e9}, NOON)
    state = wanting(state, "b", {"backfill": 1e9}, NOON)
    state, first = greedy(state, quota, Asker("a", "backfill"), NOON)
    _, second = greedy(state, quota, Asker("b", "backfill"), NOON)

    assert (27, 27) == (first, second)


# --- requests under way --------------------------------------------------------------------------


def test_one_place_is_always_free_for_what_is_urgent():
    quota = Quota(title="requests", at_once=5)
    state, places = EMPTY, []
    for number, lane in enumerate(["backfill"] * 5 + ["sales"] * 5 + ["urgent"] * 2):
        state, answer = started(state, quota, Asker("shop", lane), str(number), NOON)
        places.append(isinstance(answer, Granted))

    assert [3, 1, 1] == [sum(places[:5]), sum(places[5:10]), sum(places[10:])]


def test_urgent_work_takes_the_last_place_of_several():
    quota = Quota(title="requests", at_once=8)
    state = EMPTY
    for number in range(8):
        state, _ = started(state, quota, SALES, str(number), NOON)
    _, answer = started(state, quota, Asker("shop", "urgent"), "u", NOON)

    assert isinstance(answer, Granted)


def test_a_place_is_given_free_by_its_end_or_by_time():
    quota = Quota(title="requests", at_once=1)
    state, _ = started(EMPTY, quota, SALES, "one", NOON)
    _, full = started(state, quota, SALES, "two", NOON)

    assert isinstance(full, Paused)
    assert isinstance(started(ended(state, "one"), quota, SALES, "two", NOON)[1], Granted)
    assert isinstance(started(state, quota, SALES, "two", NOON + 1_000)[1], Granted)
    assert isinstance(started(state, quota, SALES, "two", NOON - 30 * DAY)[1], Granted)


# --- what always holds ---------------------------------------------------------------------------

askers = st.builds(Asker, st.sampled_from(["a", "b", "c"]), st.sampled_from(LANES), st.booleans())


@st.composite
def lives(draw, *, costs):
    """Return moments of a life: seconds that pass, how far the clock is set back, who asks, for how much."""
    return draw(
        st.lists(
            st.tuples(
                st.one_of(st.floats(0, 3), st.floats(0, 4_000)),
                st.one_of(st.just(0.0), st.just(0.0), st.just(0.0), st.floats(0, 10_000)),
                askers,
                costs,
            ),
            max_size=80,
        )
    )


@given(life=lives(costs=st.floats(0.1, 8)), wants=st.dictionaries(st.sampled_from(LANES), st.floats(0, 500)))
def test_no_span_of_any_length_ever_holds_more_than_its_cap(life, wants):
    caps = {"second": (SECOND, 5.0), "minute": (MINUTE, 12.0), "hour": (HOUR, 30.0), "day": (DAY, 60.0)}
    windows = tuple(Window(name=name, seconds=s, allowed=most) for name, (s, most) in caps.items())
    quota = Quota(title="calls", windows=windows)
    state = wanting(EMPTY, "a", wants, NOON)
    real, clock, granted = NOON, NOON, []
    for passed, back, asker, cost in life:
        real, clock = real + passed, clock + passed - back
        state, answer = take(decode(encode(state)), quota, asker, cost, clock)
        if isinstance(answer, Granted):
            granted.append((real, cost))
            for seconds, most in caps.values():
                assert sum(c for at, c in granted if at > real - seconds) <= most + 1e-6
        else:
            assert answer.until > clock


@given(life=lives(costs=st.floats(0.1, 30)), told=st.lists(st.booleans(), min_size=80, max_size=80))
def test_a_bucket_never_runs_over(life, told):
    quota = Quota(title="rate", leak=Leak(size=90, drips_per_second=1.5))
    state, clock, level = wanting(EMPTY, "a", {"sales": 1}, NOON), NOON, 0.0
    for (passed, back, asker, cost), tells in zip(life, told, strict=False):
        clock += passed - back
        level = max(0.0, level - passed * 1.5)
        state, answer = take(state, quota, asker, cost, clock)
        if isinstance(answer, Granted):
            level += cost
            assert level <= 90 + 1e-6
            if tells:
                state = told_level(state, quota, level, 90, 1.5, clock, cost=cost)
        else:
            assert answer.until > clock


@given(
    asked=st.lists(st.tuples(st.floats(0, 7_200), st.sampled_from(LANES[2:])), max_size=150),
    sales=st.integers(10, 300),
    cap=st.integers(100, 600),
)
def test_lower_lanes_never_take_what_a_higher_lane_is_kept(asked, sales, cap):
    quota, now = day(cap), NOON
    state = wanting(EMPTY, "shop", {"sales": sales, "backfill": 1e9}, now)
    kept = left_a_day(state, quota, SALES, now)
    receipts = deque()
    for passed, lane in asked:
        now += passed
        state = wanting(state, "shop", {"sales": sales, "backfill": 1e9}, now)
        state, _ = greedy(state, quota, Asker("shop", lane), now, times=40)
        while receipts and receipts[0] <= now - DAY - HOUR:
            receipts.popleft()
        if len(receipts) + 1 <= min(sales, kept):
            state, answer = take(state, quota, SALES, 1, now)
            assert isinstance(answer, Granted)
            receipts.append(now)


@given(
    greed=st.lists(st.tuples(st.floats(0, 7_200), askers), max_size=60),
    patient=askers,
    wants=st.dictionaries(st.sampled_from(LANES), st.sampled_from([0, 50, 1e9])),
)
def test_no_lane_of_any_connection_waits_for_ever(greed, patient, wants):
    quota, now = day(300), NOON
    state = EMPTY
    for name in "abc":
        state = wanting(state, name, {**wants, "sales": 1e9}, now)
    for passed, asker in greed:
        now += passed
        if (asker.connection, asker.lane) != (patient.connection, patient.lane):
            state, _ = greedy(state, quota, asker, now, times=60)

    assert isinstance(may_spend(state, quota, patient, 1, now), Granted)


@given(
    told=st.lists(
        st.tuples(st.floats(1, 5_000), st.integers(0, 1_200), askers, st.integers(1, 40)), max_size=60
    )
)
def test_with_fresh_answers_nothing_but_probes_goes_above_what_is_left_to_us(told):
    quota = crm_calls(Caps(crm_share=0.4, crm_spare=0.05))
    state, now, ours, probes = EMPTY, NOON, [], 0
    for passed, others, asker, cost in told:
        now += passed
        mine = sum(c for at, c in ours if at > now - DAY)
        state = told_usage(state, quota, used=mine + others, allowed=1_000, now=now)
        state, answer = take(state, quota, asker, cost, now)
        if isinstance(answer, Granted):
            ours.append((now, cost))
            assert mine + cost <= 400
            probes += mine + others + cost > 950

    assert 0 == probes  # Every answer is fresh: there is nothing to probe.


@given(life=lives(costs=st.just(1.0)))
def test_who_waits_as_told_gets_their_turn(life):
    quota, now = till_calls(Caps(till_calls_a_second=3, till_calls_an_hour=10, till_calls_a_day=50)), NOON
    state = wanting(EMPTY, "a", {"sales": 20, "backfill": 1e9}, now)
    for passed, _, asker, cost in life:
        now += passed
        state, _ = take(state, quota, asker, cost, now)
    asker = life[-1][2] if life else SALES
    for _ in range(200):
        answer = may_spend(state, quota, asker, 1, now)
        if isinstance(answer, Granted):
            break
        now = answer.until

    assert isinstance(answer, Granted)
    assert now <= NOON + 80 * 4_000 + 2 * DAY


@given(life=lives(costs=st.floats(0.1, 5)))
def test_a_state_survives_its_row(life):
    quota = crm_calls(Caps(crm_calls_a_month=1_000))
    state, now = told_usage(EMPTY, quota, 5, 1_000, NOON), NOON
    for passed, back, asker, cost in life:
        now += passed - back
        state = spent(state, quota, asker, cost, now)
    state = told_to_wait(wanting(state, "a", {"backfill": float("inf")}, now), None, now)

    assert state == decode(encode(state))


def test_a_row_stays_small():
    quota, state = crm_calls(Caps(crm_calls_a_day=1e6)), EMPTY
    for number in range(3_000):
        asker = Asker("abc"[number % 3], LANES[number % len(LANES)])
        state = spent(state, quota, asker, 1, NOON + number * 60)

    assert len(encode(state)) < 8_000


# --- at the edges of slots, and with clocks that are set back ------------------------------------


@pytest.mark.parametrize("seconds", [SECOND, MINUTE, HOUR, DAY])
def test_what_is_spent_at_the_end_of_a_slot_counts_for_a_whole_window(seconds):
    window = Window(name="span", seconds=seconds, allowed=24)
    quota, urgent = Quota(title="calls", windows=(window,)), Asker("shop", "urgent")
    edge = (NOON // window.slot_seconds + 1) * window.slot_seconds - window.slot_seconds / 100
    state, _ = greedy(EMPTY, quota, urgent, edge)

    assert isinstance(may_spend(state, quota, urgent, 1, edge + seconds * 0.995), Paused)
    assert isinstance(may_spend(state, quota, urgent, 1, edge + seconds * 1.3), Granted)


@pytest.mark.parametrize("back", [3 * HOUR, 10 * DAY, 400 * DAY])
def test_after_a_clock_was_set_back_a_window_stays_closed_for_its_length_and_no_longer(back):
    quota, urgent = day(24), Asker("shop", "urgent")
    state, _ = greedy(EMPTY, quota, urgent, NOON)
    clock = NOON - back
    state, first = take(state, quota, urgent, 1, clock)
    state, second = take(state, quota, urgent, 1, clock + DAY - MINUTE)
    _, third = take(state, quota, urgent, 1, clock + DAY + 2 * HOUR)

    assert [Paused, Paused, Granted] == [type(first), type(second), type(third)]


def test_after_a_clock_was_set_back_a_full_bucket_leaks_from_then_on():
    quota, clock = till_drips(), NOON - 30 * DAY
    state, _ = greedy(EMPTY, quota, SALES, NOON)
    assert isinstance(may_spend(state, quota, SALES, 2, clock), Paused)
    state, first = take(state, quota, SALES, 2, clock)
    _, second = take(state, quota, SALES, 2, clock + 3)

    assert [Paused, Granted] == [type(first), type(second)]


def test_after_a_probe_the_next_one_waits_as_long():
    quota = crm_calls(Caps())
    state = told_usage(EMPTY, quota, used=99_000, allowed=100_000, now=NOON)
    state, _ = take(state, quota, SALES, 1, NOON + PROBE_SECONDS)

    paused = may_spend(state, quota, SALES, 1, NOON + PROBE_SECONDS + 5)

    assert NOON + 2 * PROBE_SECONDS == paused.until


def test_a_probe_goes_no_further_than_our_own_cap():
    quota = crm_calls(Caps(crm_calls_a_day=24))
    state, _ = greedy(told_usage(EMPTY, quota, 0, 100_000, NOON), quota, SALES, NOON)
    state = spent(state, quota, SALES, 24, NOON)
    state = told_usage(state, quota, used=99_999, allowed=100_000, now=NOON)

    assert isinstance(may_spend(state, quota, SALES, 1, NOON + 2 * PROBE_SECONDS), Paused)


# --- somebody waits ------------------------------------------------------------------------------

URGENT = Asker("shop", "urgent")
FULL = told_usage(EMPTY, crm_calls(Caps()), used=99_000, allowed=100_000, now=NOON)
OURS_SPENT = spent(told_usage(EMPTY, crm_calls(Caps()), 0, 1_000, NOON), crm_calls(Caps()), URGENT, 400, NOON)
REFUSED = told_to_wait(EMPTY, 900, NOON)


@pytest.mark.parametrize(
    ("state", "asker", "after", "expected"),
    [
        pytest.param(FULL, URGENT, LOOK_SECONDS, True, id="others use it all, as was told a minute ago"),
        pytest.param(FULL, URGENT, LOOK_SECONDS - 1, False, id="that was told just now"),
        pytest.param(FULL, SALES, LOOK_SECONDS, False, id="nobody waits for a poll"),
        pytest.param(EMPTY, URGENT, LOOK_SECONDS, False, id="nothing stops us"),
        pytest.param(OURS_SPENT, URGENT, HOUR, False, id="it is we who have spent our share"),
        pytest.param(REFUSED, URGENT, LOOK_SECONDS, True, id="the org refused a minute ago"),
        pytest.param(REFUSED, URGENT, LOOK_SECONDS - 1, False, id="the org refused just now"),
    ],
)
def test_for_whoever_waits_the_remote_is_asked_once_a_minute(state, asker, after, expected):
    quota = crm_calls(Caps())
    after_it, looks = look(state, quota, asker, NOON + after)

    _, looks_again = look(after_it, quota, asker, NOON + after)

    assert (expected, False) == (looks, looks_again)


def test_a_till_that_asked_us_to_wait_is_not_asked_before():
    assert not look(told_to_wait(EMPTY, 90, NOON), till_drips(), URGENT, NOON + 80)[1]


def test_an_org_that_refused_is_asked_by_one_poll_in_five_minutes_and_its_answer_counts():
    quota = crm_calls(Caps())
    refused = told_to_wait(EMPTY, 900, NOON)
    state, first = take(refused, quota, SALES, 1, NOON + PROBE_SECONDS - 1)
    state, second = take(state, quota, SALES, 1, first.until)
    state, third = take(state, quota, SALES, 1, first.until + 1)
    told = told_usage(state, quota, used=10, allowed=1_000, now=first.until + 2)
    _, fourth = take(told, quota, SALES, 1, first.until + 2)

    assert [Paused, Granted, Paused, Granted] == [type(each) for each in (first, second, third, fourth)]
    assert NOON + PROBE_SECONDS == first.until


def test_an_answer_from_before_a_refusal_does_not_take_it_back():
    quota = crm_calls(Caps())
    state = told_usage(told_to_wait(EMPTY, 900, NOON), quota, used=10, allowed=1_000, now=NOON - 1)

    assert isinstance(may_spend(state, quota, SALES, 1, NOON), Paused)


def test_an_org_without_any_calls_left_is_asked_no_less_often():
    state = told_usage(EMPTY, crm_calls(Caps()), used=100_000, allowed=100_000, now=NOON)

    assert NOON + PROBE_SECONDS == may_spend(state, crm_calls(Caps()), SALES, 1, NOON).until
