"""tillbridge.toml: read once, checked whole, and every mistake named with its path."""

import re
from datetime import date, time
from decimal import Decimal

import pytest

from tillbridge.config import FILE_NAME, TEMPLATE, functions, load
from tillbridge.model.errors import ConfigurationInvalid
from tillbridge.sync.forecast import Plan
from tillbridge.sync.quota import Caps
from tillbridge.sync.schedule import Wishes, parse_hours
from tillbridge.wiring import plan_of

LIGHTSPEED = """
[lightspeed]
account_id = 190001
client_id = "us"
client_secret = "s"
refresh_token = "r"
"""
SALESFORCE = """
[salesforce]
client_id = "us"
username = "integration@shop.example"
private_key_file = "salesforce.key"
"""
GOOD = LIGHTSPEED + SALESFORCE


@pytest.fixture
def read(tmp_path):
    def read(text, **env):
        (tmp_path / FILE_NAME).write_text(text, encoding="utf-8")
        return load(tmp_path, env)

    return read


def mistakes(read, text, **env):
    with pytest.raises(ConfigurationInvalid) as error:
        read(text, **env)
    return error.value.mistakes


def test_little_needs_to_be_said(read, tmp_path):
    config = read(GOOD)

    assert ("190001", "R") == (config.lightspeed.account_id, config.lightspeed.series)
    assert "https://api.lightspeedapp.com" == config.lightspeed.api_url
    assert "https://login.salesforce.com" == config.salesforce.login_url
    assert tmp_path / "salesforce.key" == config.salesforce.private_key_file
    assert ("person_account", "two_way") == (config.customers.model, config.customers.mode)
    assert ("external_id", "email", "phone", "address") == config.customers.match


def test_everything_may_be_said(read):
    config = read(
        GOOD
        + """
[customers]
model = "lead"
match = ["phone", "email"]
mode = "fill_blanks"
owner = "store"
phone_region = "NL"

[sales]
since = 2024-01-01
stores = [1, "2"]
registers = ["7"]
channels = ["eCom"]
day_starts_at = 04:00:00
reporting_currency = "EUR"
rates = { "2026-01-01" = "0.92", "2026-02-01" = 0.5 }
newest_first = true
store_codes = { 1 = "AMS" }
time_zones = { 1 = "Europe/Amsterdam" }

[map.sale]
My_Field__c = "reference | upper"
Notes__c = false
"""
    )

    assert ("phone", "email") == config.customers.match
    assert (date(2024, 1, 1), ("1", "2"), time(4)) == (
        config.sales.since,
        config.sales.stores,
        config.sales.day_starts_at,
    )
    assert {date(2026, 1, 1): Decimal("0.92"), date(2026, 2, 1): Decimal("0.5")} == config.sales.rates
    assert {"My_Field__c": "reference | upper", "Notes__c": False} == config.map["sale"]


def test_any_value_may_come_from_the_environment(read):
    text = GOOD.replace('client_secret = "s"', 'client_secret = { env = "SECRET" }').replace(
        "190001", '{ env = "ID" }'
    )
    config = read(text, SECRET="hush", ID="42")

    assert ("hush", "42") == (
        config.lightspeed.client_secret.get_secret_value(),
        config.lightspeed.account_id,
    )


def test_every_variable_that_is_not_set_is_named_at_once(read):
    text = GOOD.replace('client_secret = "s"', 'client_secret = { env = "A" }')
    text += '\n[sales]\nstores = ["1", { env = "B" }]\n'

    assert [
        ("lightspeed.client_secret", "the environment variable A is not set"),
        ("sales.stores[1]", "the environment variable B is not set"),
    ] == mistakes(read, text)


def test_secrets_are_not_shown(read):
    config = read(GOOD.replace('"s"', '"hush-hush"').replace('"r"', '"hush-token"'))

    assert "hush" not in repr(config)
    assert "hush" not in str(config)


def test_a_mistake_does_not_repeat_a_secret(read):
    found = mistakes(read, GOOD.replace('client_secret = "s"', 'client_secret = ["hush-hush"]'))

    assert ["lightspeed.client_secret"] == [path for path, _ in found]
    assert "hush" not in str(found)


# What is wrong, where, and words of the sentence that says so.
MISTAKES = {
    "a table is missing": (LIGHTSPEED, [("salesforce", "is missing")]),
    "a value is missing": (
        GOOD.replace("account_id = 190001", ""),
        [("lightspeed.account_id", "is missing")],
    ),
    "an id is empty": (GOOD.replace("190001", '""'), [("lightspeed.account_id", "at least 1")]),
    "a setting is misspelt": (
        GOOD + "[customers]\nmodell = 'lead'",
        [("customers.modell", "is not a setting; did you mean model?")],
    ),
    "a table is misspelt": (GOOD + "[sale]\n", [("sale", "is not a setting; did you mean sales?")]),
    "a choice there is not": (
        GOOD + "[customers]\nmodel = 'person'",
        [("customers.model", "'person_account', 'contact' or 'lead', not 'person'")],
    ),
    "a rule there is not": (
        GOOD + "[customers]\nmatch = ['email', 'shoe size']",
        [("customers.match.1", "not 'shoe size'")],
    ),
    "another series": (
        GOOD.replace("[lightspeed]", "[lightspeed]\nseries = 'X'"),
        [("lightspeed.series", "must be 'R'")],
    ),
    "a wrong region": (GOOD + "[customers]\nphone_region = 'nl'", [("customers.phone_region", "match")]),
    "no such zone": (
        GOOD + "[sales]\ntime_zones = { 1 = 'Mars/Base' }",
        [("sales.time_zones.1", "there is no time zone named 'Mars/Base'")],
    ),
    "rates without a currency": (
        GOOD + "[sales]\nrates = { '2026-01-01' = '1' }",
        [("sales", "rates need a reporting_currency")],
    ),
    "a rate of nothing": (
        GOOD + "[sales]\nreporting_currency = 'EUR'\nrates = { '2026-01-01' = '0' }",
        [("sales", "positive")],
    ),
    "no day": (GOOD + "[sales]\nsince = 'soon'", [("sales.since", "date")]),
    "a version of another shape": (
        GOOD.replace("[salesforce]", "[salesforce]\napi_version = 'v67'"),
        [("salesforce.api_version", "match")],
    ),
    "a key pair without its key": (
        LIGHTSPEED + "[salesforce]\nclient_id = 'us'",
        [("salesforce", 'auth = "jwt" also needs username and private_key_file')],
    ),
    "client credentials without a secret": (
        LIGHTSPEED + "[salesforce]\nclient_id = 'us'\nauth = 'client_credentials'",
        [("salesforce", 'auth = "client_credentials" also needs client_secret')],
    ),
    "two at once": (
        GOOD.replace('client_id = "us"', "") + "[customers]\nmodel = 1",
        [
            ("lightspeed.client_id", "is missing"),
            ("salesforce.client_id", "is missing"),
            ("customers.model", "must be"),
        ],
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_every_mistake_is_named_with_its_path(read, case):
    text, expected = MISTAKES[case]
    found = mistakes(read, text)

    assert [path for path, _ in expected] == [path for path, _ in found]
    assert [] == [
        (words, told) for (_, words), (_, told) in zip(expected, found, strict=True) if words not in told
    ]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://login.salesforce.com", None),
        ("https://shop.my.salesforce.com/", None),
        ("http://127.0.0.1:8080", None),
        ("http://localhost:1", None),
        ("http://[::1]:1", None),
        ("http://login.salesforce.com", "plain http is accepted for this machine only"),
        ("http://192.168.0.7", "plain http is accepted for this machine only"),
        ("http://127.0.0.1.evil.example", "plain http is accepted for this machine only"),
        ("ftp://127.0.0.1", "must be an origin"),
        ("login.salesforce.com", "must be an origin"),
        ("https://login.salesforce.com/services", "without a path"),
        ("https://user:pw@login.salesforce.com", "without a path"),
        ("https://login.salesforce.com?x=1", "without a path"),
    ],
)
def test_an_origin_is_https_or_this_machine(read, url, words):
    text = GOOD.replace("[salesforce]", f'[salesforce]\nlogin_url = "{url}"')
    if words is None:
        assert url.rstrip("/") == read(text).salesforce.login_url
        return
    [(path, told)] = mistakes(read, text)
    assert ("salesforce.login_url", True) == (path, words in told)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[lightspeed", "is not valid TOML"),
        ("a = 1\na = 2", "is not valid TOML"),
        (b"\xff\xfe", "cannot be read"),
    ],
    ids=["half a table", "a name twice", "no text"],
)
def test_a_file_that_is_no_toml_says_so(tmp_path, text, words):
    (tmp_path / FILE_NAME).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigurationInvalid) as error:
        load(tmp_path, {})
    [(path, told)] = error.value.mistakes
    assert (FILE_NAME, True) == (path.rsplit("/", 1)[-1], words in told)


def test_without_a_file_there_is_a_way_to_make_one(tmp_path):
    with pytest.raises(ConfigurationInvalid, match="tillbridge init"):
        load(tmp_path, {})


def test_the_template_is_a_valid_configuration(read):
    text = TEMPLATE.format(account_id="190001", ls_client_id="a", sf_client_id="b")
    config = read(text, LIGHTSPEED_CLIENT_SECRET="s", LIGHTSPEED_REFRESH_TOKEN="r")
    assert "person_account" == config.customers.model


def test_what_the_template_only_suggests_is_valid_too(read):
    text = TEMPLATE.format(account_id="190001", ls_client_id="a", sf_client_id="b")
    heading, *lines = text.splitlines()
    suggested = "\n".join([heading, *(line.removeprefix("# ") for line in lines)])
    names = re.findall(r'env = "(\w+)"', suggested)
    config = read(suggested, **dict.fromkeys(names, "https://hooks.example"))

    assert {"2026-01-01": "0.92"} == {str(day): str(rate) for day, rate in config.sales.rates.items()}


def test_own_functions_come_from_a_file_beside_the_configuration(read, tmp_path):
    (tmp_path / "own.py").write_text(
        "def shout(text):\n    return text.upper()\n\n_hidden = len\n", encoding="utf-8"
    )
    config = read('functions_file = "own.py"\n' + GOOD)

    found = functions(config)
    assert ({"shout"}, "HEY") == (set(found), found["shout"]("hey"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "is not a Python file"),
        ("def broken(:\n", "does not load"),
        ("1 / 0\n", "does not load: division"),
    ],
    ids=["not there", "no Python", "fails"],
)
def test_a_file_of_functions_that_does_not_load_says_so(read, tmp_path, text, words):
    if text is not None:
        (tmp_path / "own.py").write_text(text, encoding="utf-8")
    config = read('functions_file = "own.py"\n' + GOOD)
    with pytest.raises(ConfigurationInvalid) as error:
        functions(config)
    [(path, told)] = error.value.mistakes
    assert ("functions_file", True) == (path, words in told)


@pytest.mark.parametrize(
    "line", ["Mon-Sat 09:00-19:00", "Sun 11:00-17:00", "fri-sun 20:00-02:00", "Mon 9:00-24:00"]
)
def test_opening_hours_as_the_schedule_reads_them(read, line):
    config = read(GOOD + f'[schedule]\nopening_hours = ["{line}"]\n')

    assert (line,) == config.schedule.opening_hours
    assert parse_hours(config.schedule.opening_hours, "UTC").spans


@pytest.mark.parametrize("line", ["9-5", "Mon-Foo 09:00-10:00", "Mon 09:00-09:00", "Mon 25:00-26:00", ""])
def test_opening_hours_that_cannot_be_read_are_named(read, line):
    told = 'must look like "Mon-Sat 09:00-19:00"'

    assert [("schedule.opening_hours.0", told)] == mistakes(
        read, GOOD + f'[schedule]\nopening_hours = ["{line}"]\n'
    )


def test_budget_and_schedule_reach_whoever_decides(read):
    config = read(
        GOOD
        + """
[budget]
salesforce_percent = 25
salesforce_left_percent = 10
salesforce_calls_a_day = 20000
salesforce_calls_a_month = 500000
salesforce_bulk_batches_a_day = 100
salesforce_at_once = 3
lightspeed_calls_a_second = 2
lightspeed_calls_a_minute = 60
lightspeed_calls_an_hour = 1000
lightspeed_calls_a_day = 9000
lightspeed_calls_a_month = 200000
[schedule]
sales_seconds = 30
closed_seconds = 900
check_seconds = 1800
sweeps_a_day = 4
[checks]
sweep_days = 14
"""
    )

    assert Plan(
        wishes=Wishes(sales_seconds=30, closed_seconds=900, check_seconds=1_800, sweeps_a_day=4),
        caps=Caps(
            crm_share=0.25,
            crm_spare=0.1,
            crm_calls_a_day=20_000,
            crm_calls_a_month=500_000,
            crm_bulk_batches_a_day=100,
            crm_at_once=3,
            till_calls_a_second=2,
            till_calls_a_minute=60,
            till_calls_an_hour=1_000,
            till_calls_a_day=9_000,
            till_calls_a_month=200_000,
        ),
        sweep_days=14,
    ) == plan_of(config)
    assert Plan() == plan_of(read(GOOD))
