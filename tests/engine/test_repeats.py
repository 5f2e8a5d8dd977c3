"""What is said of a trouble that lasts, and when."""

import pytest

from tillbridge.engine.repeats import SAY_AGAIN_SECONDS, Over, Repeats


class Watch:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def watch():
    return Watch()


@pytest.fixture
def repeats(watch):
    return Repeats(watch)


def test_an_hour_of_the_same_trouble_each_second_is_a_line_a_minute_with_a_count(watch, repeats):
    said = []
    for _ in range(3_600):
        said.append(repeats.met("dispatcher", "the database is away"))
        watch.now += 1

    assert [1] + [60] * 59 == [times for times in said if times is not None]


def test_its_end_is_said_once_with_how_often_and_how_long(watch, repeats):
    for _ in range(90):
        repeats.met("dispatcher", "the database is away")
        watch.now += 1

    assert Over(times=90, seconds=90.0) == repeats.over("dispatcher")
    assert None is repeats.over("dispatcher")


def test_what_was_never_wrong_has_no_end(repeats):
    assert None is repeats.over("dispatcher")


def test_another_place_and_another_trouble_are_said_at_once(repeats):
    met = [("dispatcher", "away"), ("heartbeat", "away"), ("dispatcher", "full"), ("dispatcher", "away")]

    assert [1, 1, 1, None] == [repeats.met(*each) for each in met]


def test_a_trouble_in_ever_new_words_does_not_fill_the_log(watch, repeats):
    said = [repeats.met("dispatcher", f"port {number} is away") for number in range(1_000)]
    watch.now += SAY_AGAIN_SECONDS

    assert 8 == sum(1 for times in said if times)
    assert 993 == repeats.met("dispatcher", "port 1000 is away")


def test_after_its_end_it_is_new_again(repeats):
    repeats.met("dispatcher", "away")
    repeats.over("dispatcher")

    assert 1 == repeats.met("dispatcher", "away")
