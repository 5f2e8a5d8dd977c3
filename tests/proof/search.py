"""A random search for a script of `life` in whose end the two sides disagree."""

import os

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from life import SWITCHES

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
    """Return scripts in which these runs are interleaved with life and trouble."""
    carried = [st.tuples(st.just(run)) for run in runs]
    return st.lists(st.one_of(st.one_of(*_SHOP), st.one_of(*_TROUBLE), st.one_of(*carried)), max_size=16)


# Which of the till's unsure facts hold.
_switches = st.fixed_dictionaries(dict.fromkeys(SWITCHES, st.booleans()))

for _name, _examples in (("dev", 20), ("ci", 110)):
    settings.register_profile(
        _name,
        parent=settings.get_profile("default"),
        max_examples=_examples,
        deadline=None,
        derandomize=False,
        database=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow],
    )
_profile = settings.get_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def converge(nursery, *runs):
    """Search among scripts in which these runs are interleaved with life and trouble."""

    @_profile
    @given(_switches, scripts(*runs))
    def both_sides_agree(switches, script):
        assert "" == nursery.play(switches, script)

    both_sides_agree()
    print(f"{nursery.played} scripts, {nursery.broken_off} runs broken off on the way, 0 disagreements")
    assert nursery.played >= _profile.max_examples
    assert nursery.broken_off > 0, "nothing went wrong on the way, so nothing was shown"
