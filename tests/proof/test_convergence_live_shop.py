"""Whatever happens to a shop that is kept in step, and whatever goes wrong: in the end both sides agree."""

from search import converge

STATE = "loaded"


def test_both_sides_agree_in_the_end(nursery):
    converge(nursery, "sync", "sync", "crosscheck")
