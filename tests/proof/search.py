"""A random search for a script of `life` in whose end the two sides disagree."""

import os

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from life import SWITCHES

# Everybody who proves the same tree plays the same scripts; `make search` tries others, and prints its seed.
SEED = int(os.environ.get("HYPOTHESIS_SEED", "20261122"))

_n = st.integers(0, 40)

_SHOP = (
    st.tuples(st.just("ring"), _n, _n, _n),
    st.tuples(st.just("ring"), _n, _n, _n),
    st.tuples(st.just("refund"), _n),
    st.tuples(st.just("void"), _n),
    st.tuples(st.just("backdate"), _n, _n),
    st.tuples(st.just("new_customer"), _n),
    st.tuples(st.just("edit_customer"), _n, _n),
    st.tuples(st.just("archive"), _n),
    st.tuples(st.just("merge"), _n, _n),
    st.tuples(st.just("product"), _n, _n),
    st.tuples(st.just("stock"), _n, _n),
    st.tuples(st.just("edit_in_crm"), _n, _n),
)
_TROUBLE = (
    st.tuples(st.just("fault"), _n, _n, _n, _n),
    st.tuples(st.just("fault"), _n, _n, _n, _n),
    st.tuples(st.just("revoke")),
    st.tuples(st.just("lock"), _n),
    st.tuples(st.just("bulk_fails"), _n),
    st.tuples(st.just("skew"), _n),
    st.tuples(st.just("restart")),
    st.tuples(st.just("wait"), st.integers(1, 300)),
)


def scripts(*runs: str) -> st.SearchStrategy:
    """Return scripts of some rounds: things happen, things go wrong, and one of these runs meets both."""
    one_round = st.tuples(
        st.lists(st.one_of(*_SHOP), min_size=1, max_size=4),
        st.lists(st.one_of(*_TROUBLE), max_size=2),
        st.sampled_from(runs).map(lambda run: [(run,)]),
    )
    rounds = st.lists(
        one_round.map(lambda parts: [step for part in parts for step in part]), min_size=1, max_size=5
    )
    return rounds.map(lambda played: [step for steps in played for step in steps])


# Which of the till's unsure facts hold.
_switches = st.fixed_dictionaries(dict.fromkeys(SWITCHES, st.booleans()))

# Shrinking takes minutes: what CI has found is made small at home, with the seed that it prints.
_SEARCH = (Phase.explicit, Phase.generate)
for _name, _examples, _phases in (("dev", 20, (*_SEARCH, Phase.shrink)), ("ci", 105, _SEARCH)):
    settings.register_profile(
        _name,
        parent=settings.get_profile("default"),
        max_examples=_examples,
        phases=_phases,
        deadline=None,
        derandomize=False,
        database=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow],
    )
profile = settings.get_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def converge(nursery, *runs):
    """Search among scripts in which these runs are interleaved with life and trouble."""

    @seed(SEED)
    @profile
    @given(_switches, scripts(*runs))
    def both_sides_agree(switches, script):
        wrong = nursery.play(switches, script)
        assert not wrong, wrong

    both_sides_agree()
    print(
        f"seed {SEED}: {nursery.played} scripts, {nursery.struck} faults, "
        f"{nursery.broken_off} runs broken off by them, 0 disagreements"
    )
    assert nursery.played >= profile.max_examples
    assert nursery.struck > 0, "nothing went wrong on the way, so nothing was shown"
