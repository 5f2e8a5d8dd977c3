"""Settings are changed line by line: what a person wrote beside them stays."""

import os
import stat
import tomllib
from datetime import date, time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tillbridge.config import FILE_NAME, TEMPLATE, load
from tillbridge.model.errors import ConfigurationInvalid, Halted
from tillbridge.rewriting import ChangedMeanwhile, changed, mark, read, write

WHOLE = """\
[lightspeed]
account_id = "190001"   # ours
client_id = "id"
client_secret = "secret"
refresh_token = "token"

[salesforce]
auth = "client_credentials"
client_id = "id"
client_secret = { env = "CRM_SECRET" }
"""
ENV = {"CRM_SECRET": "hidden"}

CASES = {
    "a value keeps the comment behind it": (
        "[schedule]\nsales_seconds = 60   # often\n",
        {("schedule", "sales_seconds"): 30},
        "[schedule]\nsales_seconds = 30   # often\n",
    ),
    "a hash in a text is no comment": (
        '[alerts]\nemail_from = "a#b@example.com" # us\n',
        {("alerts", "email_from"): "c@example.com"},
        '[alerts]\nemail_from = "c@example.com" # us\n',
    ),
    "a new setting stands behind the others of its table": (
        "# top\n[schedule]\n# polls\nsales_seconds = 60\n\n[keep]\nraw_days = 9\n",
        {("schedule", "stock_seconds"): 600},
        "# top\n[schedule]\n# polls\nsales_seconds = 60\nstock_seconds = 600\n\n[keep]\nraw_days = 9\n",
    ),
    "a new table stands at the end": (
        "[keep]\nraw_days = 9\n",
        {("retry", "every_hours"): 1},
        "[keep]\nraw_days = 9\n\n[retry]\nevery_hours = 1\n",
    ),
    "a setting goes with its line": (
        "[keep]\nraw_days = 9\n# last\n",
        {("keep", "raw_days"): None},
        "[keep]\n# last\n",
    ),
    "what was never there cannot go": ("[keep]\n", {("keep", "raw_days"): None}, "[keep]\n"),
    "a list over several lines is replaced whole": (
        '[customers]\nmatch = [\n  "email", # first\n  "phone",\n]\nowner = "seller"\n',
        {("customers", "match"): ["phone"]},
        '[customers]\nmatch = ["phone"]\nowner = "seller"\n',
    ),
    "an inline table is written anew": (
        '[customers]\nauthority = { Phone = "till" } # who wins\n',
        {("customers", "authority"): {"Phone": "crm", "Email": "ask"}},
        '[customers]\nauthority = { Phone = "crm", Email = "ask" } # who wins\n',
    ),
    "a table of its own loses and gains lines": (
        '[customers.authority]\nPhone = "till"\n# hers\nEmail = "ask"\n',
        {("customers", "authority"): {"Email": "crm", "Fax": "till"}},
        '[customers.authority]\n# hers\nEmail = "crm"\nFax = "till"\n',
    ),
    "dotted keys go on as dotted keys": (
        '[customers]\nauthority.Phone = "till"\n',
        {("customers", "authority"): {"Phone": "till", "Fax": "crm"}},
        '[customers]\nauthority.Phone = "till"\nauthority.Fax = "crm"\n',
    ),
    "a strange name is quoted": (
        "[map.sale]\n",
        {("map", "sale"): {"Öl": "'x' | upper", "A_b": 'say "it"'}},
        '[map.sale]\n"Öl" = "\'x\' | upper"\nA_b = "say \\"it\\""\n',
    ),
    "a reference is no table": (
        '[alerts]\nsmtp_password = "plain"\n',
        {("alerts", "smtp_password"): {"secret": "alerts.smtp_password"}},
        '[alerts]\nsmtp_password = { secret = "alerts.smtp_password" }\n',
    ),
    "line ends stay as they are": (
        "[keep]\r\nraw_days = 9 # x\r\n",
        {("keep", "raw_days"): 3, ("retry", "every_hours"): 2.5},
        "[keep]\r\nraw_days = 3 # x\r\n\r\n[retry]\r\nevery_hours = 2.5\r\n",
    ),
    "a file without an end of line gets one": (
        "[keep]\nraw_days = 9",
        {("keep", "raw_days"): 3},
        "[keep]\nraw_days = 3\n",
    ),
    "days and times are no text": (
        "[sales]\n",
        {("sales", "since"): date(2026, 1, 2), ("sales", "day_starts_at"): time(4)},
        "[sales]\nsince = 2026-01-02\nday_starts_at = 04:00:00\n",
    ),
    "what says so already is left alone": (
        "[keep]\nraw_days =   9\n",
        {("keep", "raw_days"): 9},
        "[keep]\nraw_days =   9\n",
    ),
}


@pytest.mark.parametrize(("text", "changes", "expected"), CASES.values(), ids=CASES)
def test_a_setting_changes_and_nothing_else(text, changes, expected):
    assert expected == changed(text, changes)


def test_a_file_written_too_freely_is_left_to_its_owner():
    text = '[[map]]\nsale = { Name = "x" }\n'

    with pytest.raises(Halted, match="by hand"):
        changed(text, {("map", "sale"): {"Name": "y"}})


LEAVES = st.one_of(
    st.booleans(),
    st.integers(-(2**40), 2**40),
    st.text(st.characters(exclude_categories=("Cs",)), max_size=30),
    st.lists(st.text("abc, #\"'\\", max_size=30), max_size=6),
)
NAMES = st.sampled_from(["a", "b", "c d", "Öl", 'x"y'])
TEXTS = (
    TEMPLATE.format(account_id="1", ls_client_id="i", sf_client_id="j"),
    "x = 1\n[a]\nb = 2\nb2.c = 3 # c\n[a.d]\ne = [\n 1,\n # two\n 2]\n[f]\ng = { h = 1, i = { j = 2 } }\n",
)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(TEXTS),
    st.dictionaries(st.tuples(st.sampled_from(["a", "f", "new", "schedule"]), NAMES), LEAVES, max_size=4),
)
def test_whatever_is_wished_is_what_the_file_says_then(text, changes):
    before = tomllib.loads(text)

    after = tomllib.loads(changed(text, changes))

    for (table, name), value in changes.items():
        assert value == after[table][name]
        before.setdefault(table, {})[name] = value
    assert before == after


def test_comments_of_the_shipped_template_outlive_every_change():
    text = changed(TEXTS[0], {("sales", "stores"): ["1"], ("alerts", "digest_hours"): 2})

    assert [line for line in TEXTS[0].splitlines() if line.startswith("#")] == [
        line for line in text.splitlines() if line.startswith("#")
    ]


# --- on the disk ---------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path):
    (tmp_path / FILE_NAME).write_text(WHOLE)
    return tmp_path


def test_what_is_written_is_read_and_told_with_what_was_there(home):
    written = write(home, {("schedule", "sales_seconds"): 30, ("keep", "raw_days"): None}, ENV)

    assert {"schedule.sales_seconds": (None, 30)} == written.changed
    assert 30 == load(home, ENV).schedule.sales_seconds
    assert "# ours" in (home / FILE_NAME).read_text()
    assert "hidden" not in (home / FILE_NAME).read_text()


def test_a_mistake_is_named_and_nothing_is_written(home):
    with pytest.raises(ConfigurationInvalid) as raised:
        write(home, {("schedule", "sales_seconds"): 0, ("retry", "give_up_after"): "often"}, ENV)

    assert {"schedule.sales_seconds", "retry.give_up_after"} == {path for path, _ in raised.value.mistakes}
    assert WHOLE == (home / FILE_NAME).read_text()
    assert {FILE_NAME, "settings.lock"} == {path.name for path in home.iterdir()}


def test_two_who_change_the_same_do_not_undo_each_other(home):
    _, seen = read(home)
    write(home, {("keep", "raw_days"): 3}, ENV, seen=seen)

    with pytest.raises(ChangedMeanwhile, match="Somebody else"):
        write(home, {("keep", "raw_days"): 4}, ENV, seen=seen)

    assert mark((home / FILE_NAME).read_text()) == read(home)[1]
    assert 3 == load(home, ENV).keep.raw_days


def test_the_file_keeps_its_rights_and_its_link(home, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("etc") / "ours.toml"
    (home / FILE_NAME).rename(elsewhere)
    elsewhere.chmod(0o640)
    (home / FILE_NAME).symlink_to(elsewhere)

    write(home, {("keep", "raw_days"): 3}, ENV)

    assert (home / FILE_NAME).is_symlink()
    assert 0o640 == stat.S_IMODE(elsewhere.stat().st_mode)
    assert "raw_days = 3" in elsewhere.read_text()


def test_a_folder_that_cannot_be_written_is_told_of(home):
    if os.geteuid() == 0:
        # Nothing is read-only to root but what is no file at all.
        (home / "settings.lock").mkdir()
    else:
        home.chmod(0o500)

    with pytest.raises(Halted, match="cannot be written"):
        write(home, {("keep", "raw_days"): 3}, ENV)

    home.chmod(0o700)
    assert WHOLE == (home / FILE_NAME).read_text()
