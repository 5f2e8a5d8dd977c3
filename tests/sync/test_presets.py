"""The shipped maps and the shipped Salesforce package name the same objects, fields and lookups."""

from pathlib import Path

import pytest

from tillbridge.sync.fieldmap import MAP_NAMES, SOURCES
from tillbridge.sync.presets import preset_names, preset_table

OBJECTS = Path(__file__).parents[2] / "salesforce" / "force-app" / "main" / "default" / "objects"
FIELDS = [
    pytest.param(preset_table(name)["object"], field, id=f"{name}: {field}")
    for name in preset_names()
    for field in [*preset_table(name)["fields"], *filter(None, [preset_table(name).get("key_field")])]
    if field.endswith("__c")
]
LOOKUPS = [
    pytest.param(name, field, facts, id=f"{name}: {field}")
    for name in preset_names()
    for field, facts in preset_table(name).get("refs", {}).items()
]


@pytest.mark.parametrize(("object_name", "field"), FIELDS)
def test_every_custom_field_is_in_the_package(object_name, field):
    assert (OBJECTS / object_name / "fields" / f"{field}.field-meta.xml").is_file()


@pytest.mark.parametrize(("name", "field", "facts"), LOOKUPS)
def test_every_lookup_is_mapped_and_goes_by_a_key(name, field, facts):
    assert field in preset_table(name)["fields"]
    assert field.removesuffix("__c") == facts["relationship"].removesuffix("__r")
    assert list(OBJECTS.glob(f"*/fields/{facts['key_field']}.field-meta.xml"))


def test_there_is_a_preset_for_every_table():
    assert set(preset_names()) == set(MAP_NAMES) - {"customer"} | {"person_account", "contact", "lead"}
    assert {preset_table(name)["source"] for name in preset_names()} <= set(SOURCES)
