"""Retry is a decision: from the error, the attempt, and whether a repetition is safe."""

from random import Random

import pytest

from tillbridge.model.errors import BadRequest, CredentialsRefused, LimitReached, Transient
from tillbridge.sync.retry import Park, Retry, RetryRules, Stop, decide, wait_seconds


@pytest.mark.parametrize(
    ("error", "attempt", "replay_safe", "expected"),
    [
        pytest.param(
            LimitReached("used up", quota="day", resume_after_seconds=90),
            1,
            True,
            Park(90),
            id="a used-up quota parks",
        ),
        pytest.param(
            LimitReached("used up", quota="day"),
            9,
            True,
            Park(None),
            id="parking knows no number of attempts",
        ),
        pytest.param(Transient("down"), 6, True, Stop("tried often enough"), id="the last attempt"),
        pytest.param(
            Transient("cut off", outcome_unknown=True),
            1,
            False,
            Stop("look it up first"),
            id="a creation of unknown outcome is never repeated",
        ),
        pytest.param(CredentialsRefused("no"), 1, True, Stop("not curable by waiting"), id="credentials"),
        pytest.param(
            BadRequest("no", code="X", status=400), 1, True, Stop("not curable by waiting"), id="a refusal"
        ),
    ],
)
def test_decisions(error, attempt, replay_safe, expected):
    assert expected == decide(error, attempt, Random(1), replay_safe=replay_safe)


def test_a_replay_safe_write_is_repeated_though_its_outcome_is_unknown():
    assert isinstance(decide(Transient("cut off", outcome_unknown=True), 1, Random(1)), Retry)


def test_waits_double_up_to_a_ceiling():
    rules = RetryRules(first_wait_seconds=1, wait_seconds_max=8)
    waits = [wait_seconds(attempt, Random(attempt), rules) for attempt in range(1, 8)]

    assert all(
        ceiling / 2 <= wait <= ceiling for wait, ceiling in zip(waits, (1, 2, 4, 8, 8, 8, 8), strict=True)
    )


def test_many_do_not_come_back_at_once():
    assert 20 == len({wait_seconds(3, Random(seed)) for seed in range(20)})


def test_the_remotes_wish_is_obeyed():
    assert Retry(120.0) == decide(Transient("busy", retry_after_seconds=120), 1, Random(1))


def test_equal_inputs_give_equal_decisions():
    assert decide(Transient("down"), 2, Random(7)) == decide(Transient("down"), 2, Random(7))
