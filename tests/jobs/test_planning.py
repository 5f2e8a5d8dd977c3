"""What a service makes of folders that go and come back, and of files that it cannot read."""

import shutil

import pytest
from world import World

from tillbridge.engine.schedule import dispatch
from tillbridge.planning import Planner
from tillbridge.store.service import open_service, service_url


class Queue:
    def __init__(self):
        self.jobs = []

    def enqueue(self, job, transaction=None):
        self.jobs.append(job)


class Served:
    """An installation with connections, and the planner of the process that serves it."""

    def __init__(self, folder, clock, *names):
        self.folder = folder
        self.folder.mkdir()
        self.clock = clock
        self.service = open_service(service_url(folder.parent, None))
        self.troubles, self.gone = [], []
        for name in names:
            shutil.copytree(folder.parent / "model", folder / "connections" / name)
        self.planner = self.another()

    def another(self):
        return Planner(
            self.folder,
            self.service,
            self.clock,
            {},
            on_gone=self.gone.append,
            on_trouble=lambda where, _: self.troubles.append(where),
        )

    def home(self, name):
        return self.folder / "connections" / name

    def due(self):
        """Return whose jobs are due now; they end at once."""
        queue = Queue()
        dispatch(self.service, queue, self.clock.now().timestamp())
        return {job.connection for job in queue.jobs}


@pytest.fixture
def made(tmp_path):
    """Makes installations whose connections are copies of one home."""
    (tmp_path / "model").mkdir()
    world = World(tmp_path / "model")
    world.close()
    made = []

    def make(*names):
        made.append(Served(tmp_path / "shops", world.clock, *names))
        return made[-1]

    yield make
    for each in made:
        each.service.close()


def test_a_folder_that_goes_and_comes_back_goes_on(made):
    served = made("a", "b")
    served.planner.plan()
    served.due()
    shutil.move(served.home("b"), served.folder / "elsewhere")
    served.planner.follow()
    while_away = served.service.away().keys(), served.planner.planned, served.gone
    shutil.move(served.folder / "elsewhere", served.home("b"))
    served.planner.follow()

    assert ({"b"}, 1, ["b"]) == while_away
    assert ({}, 2, None) == (served.service.away(), served.planner.planned, served.planner.wrong)
    assert [] == served.troubles


def test_whose_folder_went_while_nobody_served_is_noted_at_the_start(made):
    served = made("a", "b")
    served.planner.plan()
    shutil.rmtree(served.home("b"))

    served.another().plan()

    assert {"b"} == served.service.away().keys()
    assert {"a"} == served.due()


def test_who_has_the_folder_goes_on_although_another_process_missed_it(made):
    served = made("a", "b")
    served.planner.plan()
    served.service.note_away("b", served.clock.now().timestamp())
    served.planner.follow()

    assert {"a", "b"} == served.due()


def test_an_installation_that_has_moved_away_is_not_ready_and_forgets_nothing(made):
    served = made("a", "b")
    served.planner.plan()
    shutil.move(served.folder, served.folder.with_name("moved"))
    for _ in range(3):
        served.planner.follow()
    wrong, kept = served.planner.wrong, served.service.served()
    shutil.move(served.folder.with_name("moved"), served.folder)
    served.planner.follow()

    assert "no folder is there any more of a, b: nothing is served" == wrong
    assert {"a", "b"} == kept
    assert None is served.planner.wrong
    assert {"a", "b"} == served.due()


BROKEN = {"the installation's": (), "a connection's": ("connections", "b")}


@pytest.mark.parametrize("whose", BROKEN)
def test_a_file_that_cannot_be_read_leaves_all_as_it_was_and_is_said_once_per_change(made, whose):
    served = made("a", "b")
    served.planner.plan()
    broken = served.folder.joinpath(*BROKEN[whose], "tillbridge.toml")
    before = broken.read_text() if broken.exists() else ""
    broken.write_text("oops = = 1")
    for _ in range(3):
        served.planner.follow()
    while_broken = len(served.troubles), served.planner.planned, served.due()
    broken.write_text(before)
    served.planner.follow()

    assert (1, 2, {"a", "b"}) == while_broken
    assert None is served.planner.wrong
    broken.write_text("again = = 1")
    served.planner.follow()
    assert 2 == len(served.troubles)


def test_that_the_installations_file_cannot_be_read_is_told_to_watchers(made):
    served = made("a")
    served.planner.plan()
    (served.folder / "tillbridge.toml").write_text("oops = = 1")
    served.planner.follow()

    assert "the last one that could stays in force" in served.planner.wrong


def test_a_process_waits_where_nothing_is_set_up_yet_and_serves_what_is_added(made):
    served = made()
    served.planner.plan()
    before = served.planner.planned, served.planner.wrong
    shutil.copytree(served.folder.parent / "model", served.home("a"))
    served.planner.follow()

    assert (0, None) == before
    assert (1, {"a"}) == (served.planner.planned, served.due())
