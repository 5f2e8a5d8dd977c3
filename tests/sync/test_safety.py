"""The guard between plan and write, and what a plan is known by."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillbridge.sync.safety import (
    DEFAULT_LIMITS,
    ONCE_FOR_ALL,
    REASONS,
    Counts,
    Entry,
    Limits,
    Objection,
    Presence,
    checksum,
    halt_text,
    objections,
    packed,
    shown,
    unpacked,
)


def reasons(counts, limits=DEFAULT_LIMITS, approved=()):
    return [each.reason for each in objections(counts, limits, approved)]


@pytest.mark.parametrize(
    ("counts", "limits", "expected"),
    [
        pytest.param(Counts(), Limits(), [], id="nothing to do"),
        pytest.param(
            Counts(linked=0, changing=0, crm=Presence(0, 0)),
            Limits(),
            [],
            id="an org that holds none of ours",
        ),
        pytest.param(
            Counts(till_creates=1), Limits(), ["first_till_write"], id="the first new till customer"
        ),
        pytest.param(
            Counts(linked=500, changing=1, till_updates=1),
            Limits(),
            ["first_till_write"],
            id="the first change of a till customer",
        ),
        pytest.param(
            Counts(till_updates=1), Limits(ask_first_till_write=False), [], id="the first one is allowed"
        ),
        pytest.param(
            Counts(linked=500, changing=1, theirs=1),
            Limits(),
            ["first_crm_update"],
            id="the first change of somebody who was in the CRM before us",
        ),
        pytest.param(
            Counts(linked=500, changing=1, theirs=1),
            Limits(ask_first_crm_update=False),
            [],
            id="that is allowed too",
        ),
        pytest.param(Counts(linked=500, changing=25), Limits(), [], id="five of a hundred may change"),
        pytest.param(Counts(linked=500, changing=26), Limits(), ["many_changes"], id="more may not"),
        pytest.param(Counts(linked=20, changing=9), Limits(), [], id="a few may always change"),
        pytest.param(Counts(linked=20, changing=10), Limits(), ["many_changes"], id="ten are not a few"),
        pytest.param(
            Counts(linked=500, changing=400), Limits(changed_share_max=1), [], id="all may, if so set"
        ),
        pytest.param(
            Counts(till=Presence(100, 49)),
            Limits(),
            ["emptied_till"],
            id="less than half of the till is left",
        ),
        pytest.param(Counts(till=Presence(100, 50)), Limits(), [], id="half of it is left"),
        pytest.param(Counts(till=Presence(100, None)), Limits(), [], id="it was not read to the end"),
        pytest.param(Counts(crm=Presence(3, 0)), Limits(), ["emptied_crm"], id="nobody is left of three"),
        pytest.param(Counts(crm=Presence(3, 1)), Limits(), [], id="two of three were deleted"),
        pytest.param(Counts(crm=Presence(1, 0)), Limits(), [], id="the only one was deleted"),
        pytest.param(
            Counts(crm=Presence(100, 0)), Limits(left_share_min=0), [], id="an empty side is fine, if so set"
        ),
        pytest.param(
            Counts(100, 100, 100, 5, 95, Presence(100, 1), Presence(100, 1)),
            Limits(),
            list(REASONS),
            id="everything at once, each told",
        ),
    ],
)
def test_what_halts_a_plan(counts, limits, expected):
    assert expected == reasons(counts, limits)


WORST = Counts(100, 100, 100, 5, 95, Presence(100, 1), Presence(100, 1))


@pytest.mark.parametrize("approved", REASONS)
def test_what_a_person_has_approved_is_not_asked_again(approved):
    assert [each for each in REASONS if each != approved] == reasons(WORST, approved={approved})


def test_only_first_times_are_approved_for_ever():
    assert {"first_till_write", "first_crm_update"} == ONCE_FOR_ALL


def test_a_halt_says_the_numbers_and_the_way_out():
    counts = Counts(
        linked=1200, changing=1100, theirs=1, till_creates=1, till_updates=2, till=Presence(1200, 0)
    )

    assert (
        "Nothing was written, since it would create 1 customer and change 2 customers in Lightspeed, "
        "the first time that we write there; and it would change 1 customer who was in Salesforce before us, "
        "for the first time; and it would change 1,100 of 1,200 customers that are linked (91.7%, more than "
        "5.0%) within an hour; and Lightspeed shows only 0 of 1,200 customers that it showed before (is it "
        "the right account, and may we still see everybody?): look at plan 7, and let it pass with "
        "`tillbridge approve 7`."
    ) == halt_text(objections(counts), 7)


def test_a_halt_for_one_reason_is_one_sentence():
    assert (
        "Nothing was written, since it is odd: look at plan 3, and let it pass with `tillbridge approve 3`."
    ) == halt_text([Objection("many_changes", "it is odd")], 3)


# --- plans ---------------------------------------------------------------------------------------

TEXTS = st.none() | st.text(max_size=4)
ENTRIES = st.lists(
    st.builds(
        Entry,
        action=st.sampled_from(("create_crm", "update_crm", "create_till", "update_till")),
        till_id=TEXTS,
        crm_id=TEXTS,
        object=st.just("Contact"),
        name=st.text(max_size=4),
        fields=st.dictionaries(st.text(max_size=3), st.tuples(TEXTS, TEXTS), max_size=3),
    ),
    max_size=4,
)
RENAME = Entry(
    action="update_crm",
    till_id="5",
    crm_id="003A",
    object="Contact",
    name="Ana Roe",
    fields={"LastName": ("Roe", "Rowe"), "Title": ("Dr", None)},
)


def turned(entry):
    """Return the same entry with its fields in the opposite order."""
    return Entry(
        action=entry.action,
        till_id=entry.till_id,
        crm_id=entry.crm_id,
        object=entry.object,
        name=entry.name,
        fields=dict(reversed(entry.fields.items())),
    )


@given(ENTRIES, st.randoms())
def test_the_order_in_which_a_plan_was_made_does_not_count(entries, random):
    other = [turned(entry) for entry in entries]
    random.shuffle(other)

    assert checksum(entries) == checksum(other)


@given(ENTRIES)
def test_a_plan_is_read_as_it_was_written(entries):
    read = unpacked(packed(entries))

    assert len(entries) == len(read)
    assert all(entry in entries for entry in read)
    assert all(entry in read for entry in entries)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param([], id="nothing"),
        pytest.param([RENAME, RENAME], id="the same twice"),
        pytest.param(
            [
                Entry(
                    action="update_crm",
                    till_id="5",
                    crm_id="003A",
                    object="Contact",
                    name="Ana Roe",
                    fields={"LastName": ("Roe", "Rowe"), "Title": (None, None)},
                )
            ],
            id="another value before",
        ),
        pytest.param(
            [
                Entry(
                    action="update_till",
                    till_id="5",
                    crm_id="003A",
                    object="Contact",
                    name="Ana Roe",
                    fields=RENAME.fields,
                )
            ],
            id="the other side",
        ),
    ],
)
def test_a_plan_that_says_anything_else_has_another_checksum(other):
    assert checksum([RENAME]) != checksum(other)


def test_a_checksum_stays_the_same_from_one_version_to_the_next():
    """A plan that was saved before an update is still the plan that was looked at."""
    assert "d83da5ab6ba2ba8a9cf5664e9bcb2bbb1ccce470419a14711cb1d833037f58b4" == checksum([RENAME])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(True, "true", id="yes"),
        pytest.param(False, "false", id="no is an answer"),
        pytest.param(None, None, id="nothing"),
        pytest.param("", None, id="blank"),
        pytest.param("Ana", "Ana", id="a text"),
    ],
)
def test_a_value_as_people_see_it(value, expected):
    assert expected == shown(value)
