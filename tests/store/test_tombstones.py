"""Tombstones: who was erased stays known by hashes, in the state and beside it, and by nothing else."""

import pytest
from store_home import NOON, Home

from tillbridge.model.errors import Halted
from tillbridge.store.sought import sought
from tillbridge.store.tombstones import FILE_NAME, Case, Tombstones

KEYS = {"x:190001-C501", "e:anna@prins.example", "p:+15185550147", "a:12207 12 elm"}
AT = NOON.timestamp()


@pytest.fixture
def home(tmp_path):
    made = Home(tmp_path)
    yield made
    made.close()


def tombstones(home):
    return Tombstones(home.state, home.vault, home.path)


def laid(home, name="20261120-501", at=AT, keys=KEYS):
    stones = tombstones(home)
    erasure = stones.mark(name, at, ["501"], [("Account", "001A")], keys)
    with home.state.begin() as c:
        stones.lay(c, erasure)
    stones.witness(erasure)
    return stones, erasure


def test_a_person_is_known_by_ids_mail_and_phone_and_by_nothing_else(home):
    stones, erasure = laid(home)

    assert {"till id": 1, "crm id": 1, "e-mail": 1, "phone": 1} == {
        w: len(h) for w, h in erasure.marks.items()
    }
    assert (AT, AT) == (stones.of_till("501").made_at, stones.of_crm("001A").made_at)
    assert ("e-mail", "phone") == (
        stones.of_keys(["e:anna@prins.example"]).what,
        stones.of_keys(["p:+15185550147"]).what,
    )
    assert (None, None) == (stones.of_keys(["a:12207 12 elm", "x:190001-C501"]), stones.of_till("502"))


def test_nobody_can_read_a_person_out_of_their_tombstones(home):
    laid(home)
    held = home.content() + b"".join(path.read_bytes() for path in home.path.iterdir())

    assert b"anna@prins" not in held
    assert b"5185550147" not in held


def test_without_the_key_the_hashes_are_others(home, tmp_path_factory):
    _, erasure = laid(home)
    other = Home(tmp_path_factory.mktemp("other"))
    told = tombstones(other).mark("20261120-501", AT, ["501"], [("Account", "001A")], KEYS)
    other.close()

    assert erasure.marks.keys() == told.marks.keys()
    assert not {h for hashes in erasure.marks.values() for h in hashes}.intersection(*told.marks.values())


def test_the_witness_is_signed_and_written_once(home):
    stones, erasure = laid(home)
    stones.witness(erasure)

    assert [erasure] == stones.witnessed()
    assert 0o600 == (home.path / FILE_NAME).stat().st_mode & 0o777


def test_a_line_that_was_cut_short_is_no_erasure(home):
    stones, erasure = laid(home)
    with (home.path / FILE_NAME).open("a") as file:
        file.write('{"erasure": "{')

    assert [erasure] == stones.witnessed()


@pytest.mark.parametrize(
    "change", [("501", "502"), ("till_ids", "till_idz")], ids=["another id", "another name"]
)
def test_a_changed_witness_is_refused(home, change):
    stones, _ = laid(home)
    path = home.path / FILE_NAME
    path.write_text(path.read_text().replace(*change))

    with pytest.raises(Halted, match="Line 1 of"):
        stones.witnessed()


def test_a_later_erasure_of_the_same_mail_moves_its_stone(home):
    laid(home)
    stones, _ = laid(home, name="20261121-502", at=AT + 86_400, keys={"e:anna@prins.example"})

    assert AT + 86_400 == stones.of_keys(["e:anna@prins.example"]).made_at
    stones, _ = laid(home)
    assert AT + 86_400 == stones.of_keys(["e:anna@prins.example"]).made_at


def test_an_erasure_is_remembered_where_it_stands(home):
    stones = tombstones(home)
    case = Case(id="20261120-501", erased_at=AT, till_ids=["501"], crm=[("Account", "001A")], done=["till"])
    with home.state.begin() as c:
        stones.keep(c, case)

    assert [case] == tombstones(home).cases() == [stones.case("20261120-501")]
    assert not case.is_finished


ANNA = sought(names=[("Anna", "Prins")], emails=["Anna@Prins.example"], phones=["518-555-0147"])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param('{"first":"Anna","last":"PRINS"}', ["name"], id="both words of a name"),
        pytest.param("Annabel Prinsen", [], id="longer words are others"),
        pytest.param("Anna Kramer", [], id="one word is nobody"),
        pytest.param("to ANNA@prins.example", ["e-mail", "name"], id="mail in any case, and the words in it"),
        pytest.param("+1 (518) 555.0147", ["phone"], id="a phone set apart otherwise"),
        pytest.param("15185550147", [], id="digits of a longer number"),
        pytest.param("518555014", [], id="a part of a phone"),
    ],
)
def test_what_somebody_is_recognised_by(text, found):
    assert found == ANNA.found_in(text)
    assert [] == ANNA.found_in(ANNA.blotted(text))


def test_short_codes_are_no_phones():
    assert not sought(names=[(None, None), ("", "")], emails=["none"], phones=["0147"])
