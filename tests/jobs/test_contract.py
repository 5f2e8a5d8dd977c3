"""What the job engine is held to, on both databases: kills, sleepers, order, pauses, missed ticks.

A release of the queue underneath that breaks one of these must fail here.
"""

import signal
import time

import pytest
from job_plant import DEAD_AFTER, GRACE, Plant, until


def test_a_killed_worker_s_slice_is_taken_over_by_another(plant):
    plant.stream("shop", "poll", "slow")
    first = plant.worker()
    plant.wish("shop", "poll", "slow")
    until(plant.went("begin"), "the first worker is at it")
    plant.worker()
    first.kill()
    plant.go()

    _, seconds = until(plant.went("end"), "the other worker ended it")

    assert seconds <= DEAD_AFTER + GRACE
    print(f"taken over after {seconds:.1f} s")


def test_a_worker_that_comes_back_goes_on_with_what_it_was_killed_at(plant):
    plant.stream("shop", "poll", "slow")
    first = plant.worker()
    plant.wish("shop", "poll", "slow")
    until(plant.went("begin"), "it is at it")
    first.kill()
    first.wait()
    plant.go()
    plant.worker()

    _, seconds = until(plant.went("end"), "it went on")

    assert seconds <= DEAD_AFTER + GRACE


def test_a_worker_that_slept_through_its_lease_may_write_no_more(plant):
    plant.stream("shop", "poll", "slow")
    sleeper = plant.worker()
    plant.wish("shop", "poll", "slow")
    until(plant.went("begin"), "it is at it")
    plant.put_to_sleep(sleeper)
    other = plant.worker()
    until(lambda: len(plant.lines("begin")) == 2, "the other worker has taken over")
    sleeper.send_signal(signal.SIGCONT)
    until(plant.went("fenced", "shop/poll/slow/1", str(sleeper.pid)), "the sleeper was told")
    plant.go()

    ends, _ = until(plant.went("end"), "the slice ended")

    assert [str(other.pid)] == [line[2] for line in ends]


def test_pages_are_turned_once_each_though_workers_are_killed(plant):
    plant.stream("shop", "backfill", "load20")
    plant.worker()
    victim = plant.worker()
    plant.wish("shop", "backfill", "load20")
    for mark in (4, 9, 14):
        until(lambda mark=mark: len(plant.lines("page")) >= mark, f"page {mark}")
        victim.kill()
        victim = plant.worker()

    until(lambda: len(plant.lines("page")) >= 20, "all pages", seconds=60)

    assert 20 == plant.service.setting("at shop")
    assert [str(n) for n in range(20)] == sorted({line[2] for line in plant.lines("page")}, key=int)
    assert [] == plant.lines("trouble")


def test_one_slice_at_a_time_works_with_a_connection(plant):
    """Six streams of two kinds, four connections, two workers: nothing of one connection overlaps."""
    for shop in "abcd":
        for kind, name in [("poll", "x"), ("poll", "y"), ("poll", "z"), ("sweep", "v"), ("sweep", "w")]:
            plant.stream(shop, kind, name)
    plant.worker()
    plant.worker()
    for shop in "abcd":
        assert 5 == plant.service.wish(shop, None, None, time.time())

    until(lambda: len(plant.lines("end")) >= 20, "all have ended")

    spans = {}
    for what, job, _, at in plant.lines("begin") + plant.lines("end"):
        spans.setdefault(job.split("/")[0], {}).setdefault(job, {})[what] = float(at)
    overlaps = [
        (one, other)
        for jobs in spans.values()
        for one, a in jobs.items()
        for other, b in jobs.items()
        if one < other and a["begin"] < b["end"] and b["begin"] < a["end"]
    ]
    assert [] == overlaps


def test_missed_ticks_are_one_run(plant):
    """Ten intervals have passed while nobody worked; two dispatchers look at the same moment."""
    plant.stream("shop", "poll", "sales", every=60)
    plant.service.wish("shop", "poll", "sales", time.time() - 600)

    assert [1, 0] == [plant.dispatch(), plant.dispatch()]
    assert ["shop/poll/sales/1"] == [job.id for job in plant.jobs.jobs()]


def test_a_paused_connection_rests_and_goes_on_where_it_was(plant):
    plant.stream("shop", "poll", "sales")
    plant.stream("else", "poll", "sales")
    plant.service.stop("shop", "by hand", time.time())
    plant.worker()
    plant.wish("shop", "poll", "sales")
    plant.wish("else", "poll", "sales")
    until(plant.went("end", "else/poll/sales/1"), "the other connection is not concerned")
    rested = plant.lines("begin", "shop/poll/sales/1")
    plant.service.go_on("shop")

    until(plant.went("end", "shop/poll/sales/1"), "it goes on")

    assert [] == rested


def test_who_asks_overtakes_a_load(plant):
    """A load fills its lane with work for a minute; a person is served while it goes on."""
    from tillbridge.engine.jobs import Job

    plant.stream("shop", "backfill", "load100000")
    plant.worker()
    plant.wish("shop", "backfill", "load100000")
    until(lambda: len(plant.lines("page")) >= 3, "the load runs")
    job = Job(connection="shop", kind="force", gen="x1", wanted={"customer": ["1"]})
    plant.jobs.enqueue(job)

    answer, seconds = until(lambda: plant.jobs.result(job.id), "the forced run")

    assert "done" == answer["outcome"]
    assert seconds < 3
    pages = len(plant.lines("page"))
    until(lambda: len(plant.lines("page")) > pages, "and the load goes on")


def test_a_stopped_worker_ends_within_ten_seconds_and_loses_nothing(plant):
    plant.stream("shop", "poll", "slow")
    worker = plant.worker()
    plant.wish("shop", "poll", "slow")
    until(plant.went("begin"), "it is at it")
    worker.terminate()

    _, seconds = until(lambda: worker.poll() is not None, "it ended")
    plant.go()
    plant.worker()
    until(plant.went("end"), "another one did it")

    assert seconds < 10
    assert [] == plant.lines("trouble")


@pytest.mark.parametrize("kind", ["poll", "backfill"])
def test_a_job_that_vanished_from_the_queue_comes_back(plant, kind):
    from tillbridge.engine.schedule import release_lost

    plant.stream("shop", kind, "sales")
    plant.worker()
    plant.wish("shop", kind, "sales")
    until(plant.went("end"), "a first run")
    until(lambda: not plant.service.streams()[0].queued, "it was noted")
    with plant.service.begin() as c:
        import sqlalchemy as sa

        c.execute(sa.text("UPDATE stream SET queued = :t, gen = 2"), {"t": True})

    assert 1 == release_lost(plant.service, plant.jobs, time.time())
    until(plant.went("end", f"shop/{kind}/sales/3"), "it runs again")


def test_old_rows_are_deleted_and_young_ones_stay(plant):
    plant.stream("shop", "poll", "sales")
    plant.worker()
    plant.wish("shop", "poll", "sales")
    until(plant.went("end"), "a run")
    until(lambda: [j.state for j in plant.jobs.jobs(finished=True)] == ["done"], "it is in the list")

    assert (0, 1) == (plant.jobs.purge(), plant.jobs.purge(quiet_hours=0))


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_before_the_first_worker_nothing_is_queued_and_nobody_is_wrong_to_ask(kind, request, tmp_path):
    url = request.getfixturevalue("new_database") if kind == "postgres" else None
    plant = Plant(url or f"sqlite:///{tmp_path / 'service.sqlite'}", tmp_path)

    listed = plant.jobs.jobs()
    plant.close()

    assert [] == listed
