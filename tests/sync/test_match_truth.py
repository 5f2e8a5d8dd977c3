"""Matching held against the generator's truth, small: bench/matching.py says the same of large worlds."""

import importlib.util
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench" / "matching.py"


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("bench_matching", BENCH)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.mark.parametrize("model", ["person_account", "contact", "lead"])
def test_nobody_in_the_crm_is_created_again_or_taken_for_somebody_else(bench, model):
    tally = bench.Tally()

    bench.measure(600, 11, model, tally)

    assert [] == tally.again
    assert [] == tally.wrong
    assert tally.known["linked"] > 0.9 * sum(tally.known.values())
