"""The table in which people decide: safe in a spreadsheet, read back exactly, refused whole for a mistake."""

import csv
import io

import pytest

from tillbridge.sync.decisions import Kept, escaped, read, table, unescaped
from tillbridge.sync.dedupe import Finder, Member

MAIL = ("anna@mail.example",)


def kept(*extra, state="open"):
    finder = Finder()
    for number in (1, 2):
        finder.add(Member(side="till", object="Customer", id=str(number), first="Anna", last="Prins",
                          emails=MAIL, phones=("+31612345678",)))  # fmt: skip
    for member in extra:
        finder.add(member)
    (cluster,) = finder.clusters()
    return Kept(cluster=cluster, state=state)


def written(one, changes=None, delimiter=","):
    """Write a table as a person hands it back: `changes` by line, line 2 being the first record."""
    rows = list(csv.DictReader(io.StringIO(table([one], lambda member: f"https://x.example/{member.id}"))))
    for line, fields in (changes or {}).items():
        rows[line - 2] |= fields
    out = io.StringIO()
    writer = csv.DictWriter(out, rows[0].keys(), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def taken(text, *clusters):
    return read(text, {each.id: each for each in clusters}, "mirte", 7.0)


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+31612345678", "-1", "@SUM(A1)", "'=x", "''+x", "\tx", "'s-Gravenhage", "plain", "", "O'Neil"],
)
def test_what_a_spreadsheet_would_work_out_is_quoted_and_read_back(text):
    quoted = escaped(text)

    assert text == unescaped(quoted)
    assert quoted[:1] not in {"=", "+", "-", "@", "\t", "\r"}


def test_nothing_in_the_table_is_a_formula():
    one = kept(Member(side="till", object="Customer", id="3", first="=cmd()", last="@x", emails=MAIL))

    cells = [cell for row in csv.reader(io.StringIO(table([one], lambda _: "=link"))) for cell in row]

    assert [] == [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_decisions_come_back_from_any_spreadsheet(delimiter):
    one = kept()
    text = "\ufeff" + written(one, {2: {"decision": "Merge"}, 3: {"decision": "merge"}}, delimiter)

    (decided,), bad = taken(text, one)

    assert ([], "decided", {"till": "till 1"}) == (bad, decided.state, decided.decision.survivors)
    assert ["till 2"] == decided.losers("till")
    assert ("mirte", 7.0) == (decided.decision.by, decided.decision.at)


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        pytest.param({3: {"decision": "merge"}}, "decided", id="the survivor's own line may be left empty"),
        pytest.param(
            {2: {"decision": "keep apart"}, 3: {"decision": "keep apart"}}, "apart", id="kept apart"
        ),
        pytest.param({2: {"decision": "look"}, 3: {"decision": "keep apart"}}, "open", id="to be looked at"),
    ],
)
def test_where_a_cluster_stands_by_its_decisions(changes, state):
    one = kept()
    (decided,), bad = taken(written(one, changes), one)

    assert ([], state) == (bad, decided.state)


def test_an_untouched_table_decides_nothing():
    one = kept()

    assert ([], []) == taken(written(one), one)


@pytest.mark.parametrize(
    ("changes", "line", "said"),
    [
        pytest.param({3: {"decision": "marry"}}, 3, "the decision is", id="an unknown word"),
        pytest.param({3: {"cluster": "nowhere"}}, 3, "there is no cluster nowhere", id="an unknown cluster"),
        pytest.param({3: {"id": "99"}}, 3, "has no till 99", id="an unknown record"),
        pytest.param({3: {"id": "1"}}, 3, "stands on line 2 already", id="a record twice"),
        pytest.param({3: {"survivor": "yes"}}, 3, "second survivor", id="two survivors"),
        pytest.param({3: {"survivor": "maybe"}}, 3, "survivor is", id="a survivor that is no yes or no"),
        pytest.param(
            {2: {"survivor": ""}, 3: {"decision": "merge"}}, 3, "no till record survives", id="no survivor"
        ),
        pytest.param(
            {2: {"decision": "keep apart"}, 3: {"decision": "merge"}}, 3, 'which says "keep apart"',
            id="merged into one that is kept apart",
        ),
        pytest.param({2: {"decision": "merge"}}, 2, "nothing is merged into it", id="nobody to merge"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line_and_nothing_is_taken(changes, line, said):
    one = kept()

    decided, bad = taken(written(one, changes), one)

    assert ([], [line]) == (decided, [each.line for each in bad])
    assert said in bad[0].text


def test_what_was_applied_cannot_be_decided_again():
    one = kept(state="by_hand")

    assert {"has been applied already"} == {
        each.text.partition(" ")[2].partition(" ")[2]
        for each in taken(written(one, {3: {"decision": "look"}}), one)[1]
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("", "the columns cluster, side, id, survivor, decision are missing", id="empty"),
        pytest.param("cluster,side,id,survivor\n", "the columns decision are missing", id="a column is gone"),
        pytest.param('cluster,side,id,survivor,decision\n"x', "no CSV", id="a quote that never ends"),
    ],
)
def test_what_is_no_table_of_ours(text, said):
    decided, bad = taken(text, kept())

    assert [] == decided
    assert said in bad[0].text


def test_a_decision_goes_when_all_its_lines_come_back_empty():
    one = kept()
    (decided,), _ = taken(written(one, {2: {"decision": "merge"}, 3: {"decision": "merge"}}), one)
    empty = written(decided, {2: {"decision": ""}, 3: {"decision": ""}})

    assert ([one], []) == taken(empty, decided)


def test_a_decision_stays_when_a_line_of_it_is_missing():
    one = kept()
    (decided,), _ = taken(written(one, {2: {"decision": "merge"}, 3: {"decision": "merge"}}), one)
    empty = written(decided, {2: {"decision": ""}, 3: {"decision": ""}})

    assert ([], []) == taken("".join(empty.splitlines(keepends=True)[:2]), decided)
