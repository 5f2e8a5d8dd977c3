"""The stream of events, over a real socket: what it tells, to how many, and what ends it."""

import http.client
import json
from contextlib import closing

import pytest
from job_plant import until

from tillbridge.engine.underway import Underway
from tillbridge.web.live import OF_SESSION_MAX, Pace, Streams
from tillbridge.web.serving import Served

PATH = "/c/default/events"
QUICK = Pace(look_seconds=0.1, beat_seconds=60.0, check_seconds=60.0)
SALES = {("poll", "sales"): 60.0}


class Stand:
    """A console that listens, and browsers that look on."""

    def __init__(self, plant, pace):
        self.plant = plant
        plant.console.streams = Streams(pace)
        self.served = Served(plant.app, "127.0.0.1", 0)
        self.served.start()
        self.open = []

    def look(self, browser, *, accept="text/event-stream", last="", **more):
        """Ask for the stream as a browser does."""
        connection = http.client.HTTPConnection("127.0.0.1", self.served.port, timeout=20)
        headers = {"accept": accept, "cookie": f"tillbridge={browser.cookies['tillbridge']}"}
        connection.request(
            "GET", PATH, headers={**headers, **more, **({"last-event-id": last} if last else {})}
        )
        self.open.append(connection)
        return connection.getresponse()

    def close(self):
        for connection in self.open:
            connection.close()
        self.served.close()


@pytest.fixture
def pace():
    return QUICK


@pytest.fixture
def stand(plant, pace):
    made = Stand(plant, pace)
    yield made
    made.close()


@pytest.fixture
def viewer(plant):
    return plant.signed_in("viewer")


def next_event(answer):
    """Read on to the next event: its id and what it says."""
    found = {}
    while line := answer.readline():
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name:
            found[name] = value
        elif "event" in found:
            return found["id"], json.loads(found["data"])
    raise AssertionError("the stream ended")


def test_whoever_looks_on_is_told_how_things_stand_and_of_what_moves(stand, plant, viewer):
    answer = stand.look(viewer)
    first, said = next_event(answer)
    assert [] == said["streams"]

    plant.service.plan_streams("default", SALES, plant.now())

    second, said = next_event(answer)
    assert ("text/event-stream; charset=utf-8", "no-store") == (
        answer.getheader("content-type"),
        answer.getheader("cache-control"),
    )
    assert ["sales"] == [each["title"] for each in said["streams"]]
    assert first != second


def test_a_long_slice_tells_how_far_it_is_until_it_is_over(stand, plant, viewer):
    seconds = iter(range(100))
    slice_ = Underway(plant.service, "default", plant.now, tick=lambda: next(seconds))
    answer = stand.look(viewer)
    next_event(answer)

    bar = slice_.bar("Sales from the till", 400)
    bar.advance(100)
    _, told = next_event(answer)
    slice_.rest()
    _, after = next_event(answer)

    assert [{"title": "Sales from the till", "done": 100, "total": 400}] == told["steps"]
    assert [] == after["steps"]


def test_a_short_slice_writes_nothing(plant):
    slice_ = Underway(plant.service, "default", plant.now, tick=lambda: 0.0)

    with closing(slice_.bar("Sales", 10)) as bar:
        bar.advance(10)
    slice_.rest()

    assert plant.service.setting("under way default") is None


def test_whoever_comes_back_is_not_told_what_they_know(stand, plant, viewer):
    known, _ = next_event(stand.look(viewer))
    answer = stand.look(viewer, last=known)

    plant.service.plan_streams("default", SALES, plant.now())

    event, said = next_event(answer)
    assert known != event
    assert ["sales"] == [each["title"] for each in said["streams"]]


def test_a_session_has_so_many_streams_and_gets_a_place_back(stand, plant, viewer):
    answers = [stand.look(viewer) for _ in range(OF_SESSION_MAX)]
    assert [200] * OF_SESSION_MAX == [each.status for each in answers]

    too_many = stand.look(viewer)
    somebody_else = stand.look(plant.signed_in("operator"))
    assert (429, "30", 200) == (too_many.status, too_many.getheader("retry-after"), somebody_else.status)

    # Who leaves is noticed: an answer and its connection share one socket.
    stand.open[0].close()
    answers[0].close()
    until(lambda: stand.plant.console.streams.count == OF_SESSION_MAX, "the place is free", 10.0)
    assert 200 == stand.look(viewer).status


def test_a_stream_says_that_it_lives(plant, viewer):
    stand = Stand(plant, Pace(look_seconds=0.1, beat_seconds=0.3, check_seconds=60.0))
    with closing(stand):
        answer = stand.look(viewer)
        next_event(answer)

        assert b": still here\n" == answer.readline()


@pytest.mark.parametrize("end", ["signed out", "let go", "limited to a store"])
def test_a_stream_ends_with_the_session(plant, end):
    plant.person("Ada", "admin")  # Without an administrator nobody's rights change.
    person = plant.person("Vic", "viewer")
    browser = plant.signed_in_as(person)
    stand = Stand(plant, Pace(look_seconds=0.1, beat_seconds=60.0, check_seconds=0.1))
    with closing(stand):
        answer = stand.look(browser)
        next_event(answer)
        match end:
            case "signed out":
                browser.press("/logout")
            case "let go":
                plant.access.change(person.id, role="viewer", limits=None, active=False)
            case _:
                plant.access.change(person.id, role="viewer", limits={"default": ["001"]}, active=True)

        assert b"" == answer.read()


def test_a_stream_ends_when_the_service_does(stand, viewer):
    answer = stand.look(viewer)
    next_event(answer)

    stand.served.close()

    assert b"" == answer.read()


def test_whoever_asks_for_no_stream_is_told_once(stand, viewer):
    answer = stand.look(viewer, accept="*/*")

    event, said = next_event(answer)
    assert (b"", 16, 0) == (answer.read(), len(event), said["newest_run"])


def test_a_viewer_of_some_stores_is_told_nothing(stand, plant):
    assert 403 == stand.look(plant.signed_in("viewer", {"default": ["001"]})).status


def test_nobody_unknown_is_told_anything(stand, plant):
    unknown = plant.browser()
    unknown.cookies.set("tillbridge", "no-such-session", domain="localhost.local")

    assert 303 == stand.look(unknown).status


def test_another_site_is_told_nothing(stand, viewer):
    answer = stand.look(viewer, **{"sec-fetch-site": "cross-site", "sec-fetch-mode": "cors"})

    assert 403 == answer.status
