"""What a home holds of people is found wherever it lies: no sealed column is passed over."""

import sqlalchemy as sa
from store_home import NOON, Home

from tillbridge.store import schema
from tillbridge.store.holdings import Holdings
from tillbridge.store.searching import OPENED
from tillbridge.store.sought import sought
from tillbridge.store.state import Settled

# Hashes, which tell nothing.
HASHES = {
    ("record", "digest"),
    ("raw", "digest"),
    ("person_key", "key"),
    ("till_person_key", "key"),
    ("tombstone", "hash"),
}
ANNA = sought(names=[("Anna", "Prins")], emails=["anna@prins.example"], phones=["518-555-0147"])


def test_every_sealed_column_is_opened_by_a_search():
    sealed = {
        (table.name, column.name)
        for table in schema.metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, sa.LargeBinary)
    }

    assert OPENED | HASHES == sealed


def test_a_reason_in_plain_words_and_a_file_are_found(tmp_path):
    home = Home(tmp_path)
    home.settle(Settled(kind="sale", till_id="7", state="problem", reason="refused: anna@prins.example"))
    (tmp_path / "notes.txt").write_text("first line\nAnna wrote\nPRINS, Anna: 518 555 0147\n")
    home.state.compact()
    found = Holdings(home.state, home.vault, tmp_path).search(ANNA)
    home.close()

    assert [
        ("record sale 7", ("e-mail", "name")),
        ("file notes.txt", ("name", "phone")),
        ("file tillbridge.sqlite", ("e-mail", "name")),
    ] == [(hit.where, hit.what) for hit in found.hits]


def test_a_payload_of_another_key_is_counted_and_not_passed_over(home):
    with home.state.begin() as c:
        values = {"till_id": "1", "outcome": "linked", "detail": b"x" * 40, "made_at": NOON.timestamp()}
        c.execute(sa.insert(schema.verdict).values(values))
    found = Holdings(home.state, home.vault, home.path).search(ANNA)

    assert ["verdict 1"] == found.unreadable


def test_the_file_holds_no_page_of_what_was_deleted(tmp_path):
    home = Home(tmp_path)
    home.settle(Settled(kind="sale", till_id="7", state="problem", reason="anna@prins.example" * 400))
    with home.state.begin() as c:
        c.execute(sa.delete(schema.record))
    home.state.compact()
    held = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    home.close()

    assert b"anna@prins" not in held
