"""Deleting one record: it goes into the bin, once; a refusal says why."""

import pytest
from world import World

from tillbridge.model.acks import Refused


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    made.install()
    yield made
    made.close()


def test_a_record_is_deleted_and_again_is_no_failure(world):
    person = world.person("Anna", "Prins")
    with world.opened() as parts:
        assert [None, None] == [parts.crm.delete("Account", person) for _ in range(2)]

    assert person not in world.org.tables["Account"].rows
    assert person in world.org.tables["Account"].bin


def test_a_refusal_is_told(world):
    with world.opened() as parts:
        book = next(iter(world.org.tables["Pricebook2"].rows))
        refused = parts.crm.delete("Pricebook2", book)

    assert isinstance(refused, Refused)
    assert refused.code in {"DELETE_FAILED", "INSUFFICIENT_ACCESS_OR_READONLY"}
