"""Predict what a connection will cost: calls a day by lane, hours of the first load, storage, what runs out.

Everything follows from a survey (how large both accounts are, what they allow)
and from what the engine's own slices cost, which stands here as constants: they
are promises of the files named beside them, and the bench holds both together.

What a reader would get wrong: an idle poll of sales costs the CRM nothing, and
news that fall into one poll cost one call. So the CRM's calls follow the number
of polls with news, not the number of sales.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

from tillbridge.sync.quota import BUSY_FLOW_SHARE, DAY, HOUR, LANES, MINUTE, Caps, Lane
from tillbridge.sync.schedule import Pace, Stream, Wishes, calls_with_news, paces, polls_a_day

Model = Literal["person_account", "contact", "lead"]

# --- what slices cost: calls -----------------------------------------------------------------------

# A page of any list, and a read by ids, takes 100 rows (fact sheet Lightspeed A4, A5).
TILL_PAGE = 100

# One GET each, news or not: sales, customers, products, stock (engine/streams.take).
POLL_TILL = 1

# Late lines and late payments behind a poll of sales, and voids by themselves as often: one GET each (work,
# engine/crosscheck).
CHECK_TILL = 4

# The hourly checks: archived customers one GET, products in review one (engine/crosscheck).
HOURLY_TILL = 2
# Who changed is asked once; candidates for products in review by two queries.
HOURLY_CRM = 3

# Account, shops, registers, categories, employees; kept for an hour (engine/directory), and read by a daily
# check besides.
DIRECTORY_TILL = 5
DIRECTORIES_A_DAY = 25

# Every object that is written is described anew once a day (engine/preflight).
DESCRIBE_CRM = 13

# A proof of one day: sums by two queries, contents by six (engine/certificate), once a store day is over.
CERTIFY_CRM = 8

# A store's day may begin and end on other UTC days, so the sales of the days around it are read with it
# (engine/figures).
CERTIFY_DAYS = 3

# Who has changed in the CRM: one call a poll, whoever and how many that were (engine/people).
PEOPLE_CRM = 1

# A composite request takes five slots of 200 rows (sync/plan): news of any ordinary poll fit into one.
WRITE_ROWS = 1_000

# News of products: their rows, and in a call of its own the prices, where those have changed
# (engine/catalog). A new one costs two questions more.
PRODUCT_NEWS_CRM = 2

# One GET and one call for 100 records (engine/sweep).
SWEEP_PAGE_TILL = 1
SWEEP_PAGE_CRM = 1

# Numbers between those that are known, walked once a turn: some of every hundred sales are open or cancelled.
SWEEP_GAPS_SHARE = 0.1

# Whoever buys and has never been seen is read by id, and the CRM is asked who is new there before somebody is
# created; the next poll of customers then writes once more (measured: bench/day).
FIRST_SEEN_TILL = 1
FIRST_SEEN_CRM = 1

# --- what the first load costs ---------------------------------------------------------------------

# Logging in, describing 14 objects, permission sets, small tables on both sides (engine/preflight), and
# whether there is room: limits, and three counts (engine/room).
SETUP_TILL = 9
SETUP_CRM = 25

# A wave of bulk jobs costs about so much however large it is (engine/waves).
WAVE_SALES = 20_000
WAVE_CRM = 20

# The CRM takes rows in batches of 10,000 (fact sheet Salesforce 3.3).
BATCH_ROWS = 10_000

# What bulk jobs of an org without much automation take in; an org with flows on every row takes a tenth.
BULK_ROWS_A_SECOND = 100.0

# People whom the CRM holds are read once, 2,000 a page (fact sheet Salesforce 2.4).
CRM_PAGE = 2_000

# What a page costs of Lightspeed's bucket, by what is loaded with it (connectors/lightspeed_r/protocol).
SALES_DRIPS = 2.6
CUSTOMERS_DRIPS = 2.6
PRODUCTS_DRIPS = 1.8
PLAIN_DRIPS = 1.0

# Size and drip grow with each register beyond the first (fact sheet Lightspeed A3).
DRIPS_A_SECOND = 1.0
DRIPS_A_REGISTER = 0.5

# --- storage (fact sheet Salesforce 9) -------------------------------------------------------------

RECORD_KILOBYTES = 2
PERSON_ACCOUNT_KILOBYTES = 4

# A customer is a person and their identity row; a contact has an account beside it.
CUSTOMER_KILOBYTES: Mapping[Model, int] = {
    "person_account": PERSON_ACCOUNT_KILOBYTES + RECORD_KILOBYTES,
    "contact": 3 * RECORD_KILOBYTES,
    "lead": 2 * RECORD_KILOBYTES,
}

_YEAR_DAYS = 365.0
_HORIZON_YEARS = 10.0


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """How large both accounts are, and what they allow."""

    stores: int
    registers: int
    customers: int
    products: int
    sales: int
    sales_a_day: float
    customers_a_day: float  # new ones
    products_a_day: float = 0.0  # new or changed ones
    lines_a_sale: float = 2.0
    payments_a_sale: float = 1.0
    open_hours: float = 12.0  # of a day, any shop: how long the feed counts it as open
    selling_hours: float | None = None  # from the first to the last sale; None: all of these
    people: int = 0  # that the CRM holds already
    model: Model = "person_account"
    listens: bool = True  # the CRM's people are asked for their news
    crm_calls_allowed: float | None = None  # a day, all apps
    crm_calls_used: float = 0.0  # of the last day, by all apps
    crm_batches_allowed: float | None = None
    crm_megabytes: float | None = None
    crm_megabytes_free: float | None = None

    @property
    def selling_seconds(self) -> float:
        """Return for how long a day anything is sold."""
        hours = self.open_hours if self.selling_hours is None else self.selling_hours
        return min(hours, self.open_hours) * HOUR


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How it will run: the settings that cost calls."""

    wishes: Wishes = Wishes()
    caps: Caps = Caps()
    reread_days: float = 7
    nightly_days: float = 35
    sweep_days: float = 7


class Line(msgspec.Struct, frozen=True):
    """What one thing costs a day: calls on either side, and drips of the till's bucket."""

    lane: Lane
    what: str
    till: float
    crm: float
    drips: float


class Load(msgspec.Struct, frozen=True):
    """The first load: hours, calls, and the bulk batches that it takes."""

    hours: float
    till: float
    crm: float
    batches: int
    held_by: Literal["till", "crm", "calls"]  # whom it waits for longest


class Limit(msgspec.Struct, frozen=True):
    """A limit, what is wanted of it and what there is. `in_days`: when it is hit; None: not in ten years."""

    name: Literal["crm calls", "till rate", "crm storage", "bulk batches"]
    wanted: float
    there: float
    in_days: float | None


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """All that is predicted."""

    lines: tuple[Line, ...]
    load: Load
    megabytes_first: float
    megabytes_a_year: float
    limits: tuple[Limit, ...]
    given: dict[Lane, float]  # of the CRM's calls a day, what each lane gets of what it wants

    @property
    def till(self) -> float:
        """Return the till's calls a day."""
        return sum(line.till for line in self.lines)

    @property
    def crm(self) -> float:
        """Return the CRM's calls a day."""
        return sum(line.crm for line in self.lines)

    @property
    def drips(self) -> float:
        """Return what is drawn from the till's bucket a day."""
        return sum(line.drips for line in self.lines)

    def by_lane(self) -> dict[Lane, tuple[float, float]]:
        """Return calls a day by lane: the till's, the CRM's."""
        found: dict[Lane, tuple[float, float]] = {}
        for lane in LANES:
            mine = [line for line in self.lines if line.lane == lane]
            if mine:
                found[lane] = (sum(line.till for line in mine), sum(line.crm for line in mine))
        return found

    def wants(self) -> dict[Lane, float]:
        """Return the CRM's calls that each lane wants of a day, as the budget asks for them."""
        return {lane: crm for lane, (_, crm) in self.by_lane().items()}


def forecast(survey: Survey, plan: Plan) -> Forecast:
    """Predict everything."""
    lines = daily(survey, plan)
    first, yearly = storage(survey)
    load = first_load(survey, plan, sum(line.drips for line in lines))
    return Forecast(
        lines=lines,
        load=load,
        megabytes_first=first,
        megabytes_a_year=yearly,
        limits=_limits(survey, plan, lines, load, first, yearly),
        given=_given(lines, _crm_calls_there(survey, plan)),
    )


# --- a day ---------------------------------------------------------------------------------------


def daily(survey: Survey, plan: Plan) -> tuple[Line, ...]:
    """Return what a day costs, thing by thing."""
    pace = paces(plan.wishes)
    polls = {stream: polls_a_day(each, survey.open_hours) for stream, each in pace.items()}
    people = PEOPLE_CRM if survey.listens else 0
    return (
        _sales(survey, pace["sales"], polls["sales"]),
        Line(
            "sales",
            "late lines, payments, voids",
            polls["check"] * CHECK_TILL,
            0,
            polls["check"] * (SALES_DRIPS + (CHECK_TILL - 1) * PLAIN_DRIPS),
        ),
        Line(
            "customers",
            "customers",
            polls["customers"] * POLL_TILL,
            people
            * (
                polls["customers"]
                + calls_with_news(
                    survey.selling_seconds / pace["customers"].open_seconds, survey.customers_a_day
                )
            ),
            polls["customers"] * CUSTOMERS_DRIPS,
        ),
        _catalog(survey, pace, polls),
        _checks(survey, plan),
        _sweep(survey, plan),
    )


def _sales(survey: Survey, pace: Pace, polls: float) -> Line:
    news = calls_with_news(survey.selling_seconds / pace.open_seconds, survey.sales_a_day)
    # What a poll brings goes in one call until it no longer fits.
    rows = survey.sales_a_day * (1 + survey.lines_a_sale + survey.payments_a_sale)
    crm = max(news, rows / WRITE_ROWS)
    pages = max(0.0, survey.sales_a_day / TILL_PAGE - polls)
    strangers = calls_with_news(news, survey.customers_a_day)
    met = strangers * FIRST_SEEN_TILL
    return Line(
        "sales",
        "sales",
        polls * POLL_TILL + pages + met,
        crm + strangers * FIRST_SEEN_CRM,
        (polls + pages) * SALES_DRIPS + met * CUSTOMERS_DRIPS,
    )


def _catalog(survey: Survey, pace: Mapping[Stream, Pace], polls: Mapping[Stream, float]) -> Line:
    till = polls["products"] + polls["stock"]
    # What was sold has moved in its store; more rows than fit into one call take several.
    moved = calls_with_news(survey.selling_seconds / pace["stock"].open_seconds, survey.sales_a_day)
    rows = survey.sales_a_day * survey.lines_a_sale
    changed = calls_with_news(polls["products"], survey.products_a_day)
    return Line(
        "catalog",
        "products and stock",
        till,
        max(moved, rows / WRITE_ROWS) + changed * PRODUCT_NEWS_CRM,
        polls["products"] * PRODUCTS_DRIPS + polls["stock"] * PLAIN_DRIPS,
    )


def _checks(survey: Survey, plan: Plan) -> Line:
    """Hourly and daily checks, and the proof of the day before."""
    there = survey.sales + survey.sales_a_day  # a young account has no weeks to look back on
    again = sum(
        math.ceil(min(survey.sales_a_day * days, there) / TILL_PAGE)
        for days in (plan.reread_days, plan.nightly_days)
    )
    proven = math.ceil(min(survey.sales_a_day * CERTIFY_DAYS, there) / TILL_PAGE)
    sales = again + proven + 1  # and those that are still open
    directory = DIRECTORIES_A_DAY * (DIRECTORY_TILL + survey.registers // TILL_PAGE)
    # Whoever is in review is looked at again when somebody is new in the CRM.
    review = calls_with_news(24, survey.customers_a_day) if survey.listens else 0
    till = 24 * HOURLY_TILL + sales + directory + review
    crm = (24 * HOURLY_CRM if survey.listens else 0) + CERTIFY_CRM + DESCRIBE_CRM
    return Line(
        "sweep",
        "hourly and daily checks, certificate",
        till,
        crm,
        24 * (CUSTOMERS_DRIPS + PRODUCTS_DRIPS) + sales * SALES_DRIPS + directory * PLAIN_DRIPS,
    )


def _sweep(survey: Survey, plan: Plan) -> Line:
    sales, customers, products = sweep_pages_of(survey)
    days = max(1.0, plan.sweep_days)
    drips = sales * SALES_DRIPS + customers * CUSTOMERS_DRIPS + products * PRODUCTS_DRIPS
    pages = (sales + customers + products) / days
    return Line(
        "sweep",
        f"everything again within {days:g} days",
        pages * SWEEP_PAGE_TILL,
        pages * SWEEP_PAGE_CRM,
        drips / days,
    )


def sweep_pages_of(survey: Survey) -> tuple[float, float, float]:
    """Return how many pages a turn has: of sales with the gaps between them, customers, products."""
    sales = math.ceil(survey.sales / TILL_PAGE) * (1 + SWEEP_GAPS_SHARE)
    return sales, math.ceil(survey.customers / TILL_PAGE), math.ceil(survey.products / TILL_PAGE)


# --- the first load ------------------------------------------------------------------------------


def drips_a_second(registers: int) -> float:
    """Return how fast the till's bucket leaks."""
    return DRIPS_A_SECOND + DRIPS_A_REGISTER * max(0, registers - 1)


def first_load(survey: Survey, plan: Plan, daily_drips: float) -> Load:
    """Predict the load of all history, while the feed runs beside it and shops are open at their hours."""
    pages = [math.ceil(count / TILL_PAGE) for count in (survey.sales, survey.customers, survey.products)]
    drips = pages[0] * SALES_DRIPS + pages[1] * CUSTOMERS_DRIPS + pages[2] * PRODUCTS_DRIPS + SETUP_TILL
    flow = drips_a_second(survey.registers)
    # In opening hours the backfill leaves half of the flow alone; the feed takes its part at all hours.
    share = 1 - (1 - BUSY_FLOW_SHARE) * survey.open_hours / 24
    till_seconds = drips / max(flow * share - daily_drips / DAY, flow * 0.1)
    rows = survey.sales * (1 + survey.lines_a_sale + survey.payments_a_sale)
    crm_seconds = rows / BULK_ROWS_A_SECOND
    crm = _load_calls(survey)
    there = max(1.0, _crm_calls_there(survey, plan))
    calls_seconds = (math.ceil(crm / there) - 1) * DAY
    held: list[tuple[float, Literal["till", "crm", "calls"]]] = [
        (till_seconds, "till"),
        (crm_seconds, "crm"),
        (calls_seconds, "calls"),
    ]
    # Reading and loading take turns; waiting for calls of the next day contains both.
    seconds = max(till_seconds + crm_seconds, calls_seconds)
    return Load(seconds / HOUR, sum(pages) + SETUP_TILL, crm, _batches(survey), max(held)[1])


def _load_calls(survey: Survey) -> float:
    writes = survey.products * (2 + survey.stores) / WRITE_ROWS
    rows_of_customer = CUSTOMER_KILOBYTES[survey.model] // RECORD_KILOBYTES
    if survey.model == "person_account":
        rows_of_customer -= 1  # its contact comes with it
    writes += survey.customers * rows_of_customer / WRITE_ROWS
    waves = math.ceil(survey.sales / WAVE_SALES)
    return SETUP_CRM + math.ceil(writes) + math.ceil(survey.people / CRM_PAGE) + waves * WAVE_CRM


def _batches(survey: Survey) -> int:
    waves, rest = divmod(survey.sales, WAVE_SALES)
    sizes = [WAVE_SALES] * waves + [rest] * bool(rest)
    parts = (1.0, survey.lines_a_sale, survey.payments_a_sale)
    return sum(math.ceil(size * part / BATCH_ROWS) for size in sizes for part in parts)


# --- storage -------------------------------------------------------------------------------------


def storage(survey: Survey) -> tuple[float, float]:
    """Return the CRM's storage in megabytes: of the first load, and of each year."""
    of_sale = RECORD_KILOBYTES * (1 + survey.lines_a_sale + survey.payments_a_sale)
    of_customer = CUSTOMER_KILOBYTES[survey.model]
    of_product = RECORD_KILOBYTES * (2 + survey.stores)  # with its price and its stock in each store
    first = survey.sales * of_sale + survey.customers * of_customer + survey.products * of_product
    yearly = _YEAR_DAYS * (survey.sales_a_day * of_sale + survey.customers_a_day * of_customer)
    return first / 1024, yearly / 1024


# --- what runs out -------------------------------------------------------------------------------


def _crm_calls_there(survey: Survey, plan: Plan) -> float:
    """Return what there is of the CRM's day for us, others' use as it was on the day of the survey."""
    caps = plan.caps
    most = math.inf if caps.crm_calls_a_day is None else caps.crm_calls_a_day
    if survey.crm_calls_allowed is None:
        return most
    allowed = survey.crm_calls_allowed
    return max(
        0.0, min(most, allowed * caps.crm_share, allowed * (1 - caps.crm_spare) - survey.crm_calls_used)
    )


def _limits(
    survey: Survey, plan: Plan, lines: tuple[Line, ...], load: Load, first: float, yearly: float
) -> tuple[Limit, ...]:
    found = []
    calls = _crm_calls_there(survey, plan)
    if math.isfinite(calls):

        def calls_in(days: float) -> float:
            return sum(line.crm for line in daily(_grown(survey, days), plan))

        found.append(Limit("crm calls", sum(line.crm for line in lines), calls, _hit(calls_in, calls)))

    def drips_in(days: float) -> float:
        return sum(line.drips for line in daily(_grown(survey, days), plan))

    flow = drips_a_second(survey.registers) * DAY
    found.append(Limit("till rate", sum(line.drips for line in lines), flow, _hit(drips_in, flow)))
    if survey.crm_megabytes_free is not None:
        free = survey.crm_megabytes_free
        found.append(
            Limit("crm storage", first, free, _hit(lambda days: first + yearly * days / _YEAR_DAYS, free))
        )
    if survey.crm_batches_allowed is not None:
        there = survey.crm_batches_allowed * plan.caps.crm_share
        found.append(Limit("bulk batches", load.batches, there, 0.0 if load.batches > there else None))
    return tuple(found)


def _grown(survey: Survey, days: float) -> Survey:
    """Return the same retailer after so many days of the same business."""
    return msgspec.structs.replace(
        survey,
        sales=survey.sales + int(survey.sales_a_day * days),
        customers=survey.customers + int(survey.customers_a_day * days),
    )


def _hit(wanted: Callable[[float], float], there: float) -> float | None:
    """Return in how many days what is wanted grows above what there is; None if not within the horizon."""
    low, high = 0.0, _HORIZON_YEARS * _YEAR_DAYS
    if wanted(low) > there:
        return 0.0
    if wanted(high) <= there:
        return None
    while high - low > 1:
        middle = (low + high) / 2
        low, high = (low, middle) if wanted(middle) > there else (middle, high)
    return high


def _given(lines: tuple[Line, ...], there: float) -> dict[Lane, float]:
    given: dict[Lane, float] = {}
    for lane in LANES:
        wanted = sum(line.crm for line in lines if line.lane == lane)
        if wanted:
            given[lane] = min(wanted, there)
            there -= given[lane]
    return given


# --- what if -------------------------------------------------------------------------------------

_SURVEY: Mapping[str, str] = {
    "stores": "stores",
    "registers": "registers",
    "customers": "customers",
    "products": "products",
    "sales": "sales",
    "sales_per_day": "sales_a_day",
    "new_customers": "customers_a_day",
    "lines": "lines_a_sale",
    "payments": "payments_a_sale",
    "open_hours": "open_hours",
    "people": "people",
    "allowed": "crm_calls_allowed",
    "used": "crm_calls_used",
    "storage_free": "crm_megabytes_free",
}
_WISHES: Mapping[str, str] = {
    "interval": "sales_seconds",
    "customers_interval": "customers_seconds",
    "products_interval": "products_seconds",
    "stock_interval": "stock_seconds",
    "closed_interval": "closed_seconds",
    "check_interval": "check_seconds",
    "sweeps": "sweeps_a_day",
}
_PLAN: Mapping[str, str] = {
    "sweep_days": "sweep_days",
    "reread_days": "reread_days",
    "nightly_days": "nightly_days",
}
_CAPS: Mapping[str, str] = {"share": "crm_share", "calls": "crm_calls_a_day"}
WHAT_IF_NAMES = tuple(sorted({*_SURVEY, *_WISHES, *_PLAN, *_CAPS, "model"}))

# What grows with the number of stores unless it is named itself.
_BY_STORES = ("registers", "sales_a_day", "customers_a_day", "products_a_day")

# There is no half of one.
_COUNTED = frozenset(("stores", "registers"))

_UNITS: Mapping[str, float] = {"": 1.0, "s": 1.0, "m": MINUTE, "h": HOUR, "d": DAY, "%": 0.01, "k": 1_000.0}
_FIGURE = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdk%]?)")


def what_if(survey: Survey, plan: Plan, text: str) -> tuple[Survey, Plan]:
    """Read "interval=2m,stores=10" and return what is then. Raises ValueError with a sentence.

    More stores bring their registers, sales and customers along, unless these are named too.
    """
    wished: dict[str, str | float] = {}
    for name, value in (_wish(part) for part in text.split(",") if part.strip()):
        if name in wished:
            raise ValueError(f"{name} is wished twice")
        wished[name] = value
    changed: dict[str, object] = {}
    if "stores" in wished:
        factor = float(wished["stores"]) / max(1, survey.stores)
        changed |= {name: _as(getattr(survey, name), getattr(survey, name) * factor) for name in _BY_STORES}
    for name, field in _SURVEY.items():
        if name in wished:
            changed[field] = _as(getattr(survey, field), float(wished[name]))
    if "model" in wished:
        changed["model"] = wished["model"]
    wishes = {field: float(wished[name]) for name, field in _WISHES.items() if name in wished}
    caps = {field: float(wished[name]) for name, field in _CAPS.items() if name in wished}
    days = {field: float(wished[name]) for name, field in _PLAN.items() if name in wished}
    return msgspec.structs.replace(survey, **changed), msgspec.structs.replace(
        plan,
        wishes=msgspec.structs.replace(plan.wishes, **wishes),
        caps=msgspec.structs.replace(plan.caps, **caps),
        **days,
    )


def _as(before: object, value: float) -> float | int:
    return round(value) if isinstance(before, int) and not isinstance(before, bool) else value


def _wish(part: str) -> tuple[str, str | float]:
    name, separator, value = part.partition("=")
    name, value = name.strip().lower().replace("-", "_"), value.strip().lower()
    if not separator or name not in WHAT_IF_NAMES:
        raise ValueError(f"{part.strip()!r} is no wish; there are {', '.join(WHAT_IF_NAMES)}")
    if name == "model":
        if value not in CUSTOMER_KILOBYTES:
            raise ValueError(f"model is one of {', '.join(CUSTOMER_KILOBYTES)}, not {value!r}")
        return name, value
    found = _FIGURE.fullmatch(value)
    if found is None:
        raise ValueError(f"{name} wants a figure such as 10, 2m or 40%, not {value!r}")
    figure = float(found[1]) * _UNITS[found[2]]
    if name not in {"used", "people", "new_customers", "storage_free", "sales", "customers"} and figure <= 0:
        raise ValueError(f"{name} must be more than nothing")
    if name in _COUNTED and figure != int(figure):
        raise ValueError(f"{name} are counted: {value} is no whole number")
    if name == "share" and figure > 1:
        raise ValueError("share is at most 100%")
    if name == "open_hours":
        figure = figure / HOUR if found[2] == "h" else figure
        if figure > 24:
            raise ValueError("a day has 24 open_hours at most")
    if name in _PLAN and found[2] == "d":
        figure /= DAY
    return name, figure
