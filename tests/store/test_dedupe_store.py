"""What is kept of duplicates: sealed, found by id, and forgotten when somebody is erased."""

import pytest

from tillbridge.secrets import Vault
from tillbridge.store.dedupe import Clusters
from tillbridge.sync.decisions import Decision, Kept
from tillbridge.sync.dedupe import Finder, Member


@pytest.fixture
def clusters(home):
    return Clusters(home.state, Vault(b"k" * 32))


def found(*ids, last="Prins"):
    finder = Finder()
    for number in ids:
        finder.add(
            Member(
                side="till", object="Customer", id=number, first="Anna", last=last, emails=("a@b.example",)
            )
        )
    return Kept(cluster=finder.clusters()[0])


def keep(home, clusters, *kept):
    with home.state.begin() as c:
        clusters.keep(c, kept)


def test_what_is_kept_comes_back(home, clusters):
    one, other = found("1", "2"), found("3", "4")
    keep(home, clusters, one, other)

    assert one == clusters.get(one.id)
    assert {one.id, other.id} == {kept.id for kept in clusters.all(["open"])}
    assert {"open": 2} == clusters.count()
    assert None is clusters.get("nowhere")


def test_who_is_erased_takes_every_cluster_along(home, clusters):
    one, other = found("1", "2"), found("3", "4")
    keep(home, clusters, one, other)

    with home.state.begin() as c:
        erased = clusters.erase(c, ["2", "99"], ["003000000000001AAA"])

    assert (1, [other.id]) == (erased, [kept.id for kept in clusters.all()])


def test_names_cannot_be_read_in_the_file(home, clusters):
    keep(home, clusters, found("1", "2", last="Perelaer"))

    with home.state.begin() as c:
        rows = c.exec_driver_sql("SELECT body FROM dedupe_cluster").all()

    assert 1 == len(rows)
    assert not any(word in rows[0][0] for word in (b"Perelaer", b"Anna", b"example"))


def test_a_pair_is_apart_when_one_of_it_was_kept_apart(home, clusters):
    one = found("1", "2", "3")
    words = {"till 1": "merge", "till 2": "merge", "till 3": "keep apart"}
    decision = Decision({"till": "till 1"}, words)
    keep(home, clusters, Kept(cluster=one.cluster, state="decided", decision=decision))

    assert {frozenset({"till 1", "till 3"}), frozenset({"till 2", "till 3"})} == clusters.apart()
