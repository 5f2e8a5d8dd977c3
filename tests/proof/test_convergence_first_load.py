"""Whatever happens during a first load, and whatever goes wrong meanwhile: in the end both sides agree."""

from search import converge

STATE = "fresh"


def test_both_sides_agree_in_the_end(nursery):
    converge(nursery, "backfill", "backfill", "sync")
