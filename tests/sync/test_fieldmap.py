"""The field map: tables that say where values come from, compiled, with every mistake named."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from tillbridge.model.catalog import stock_facts
from tillbridge.model.customer import customer_facts
from tillbridge.model.errors import ConfigurationInvalid
from tillbridge.model.records import Customer, Kind, Phone, Product, Stock
from tillbridge.model.sale import Ref
from tillbridge.model.writing import KeyRef
from tillbridge.sync.fieldmap import CUSTOMER_MODELS, compile_maps, key, payload_hash

RING = Product(
    id="88",
    system_sku="210000000088",
    custom_sku="RNG-1",
    description="Ring, gold",
    category="Rings/Gold",
    price=Decimal("38.005"),
    maker="  Halden   & Co ",
    archived=False,
    created_at=datetime(2026, 3, 2, 17, tzinfo=UTC),
)
MAREN = customer_facts(
    Customer(
        id="501",
        last_name="Oduya",
        custom={"Ring size": "52.5", "VIP": "true"},
        tags=("vip", "league"),
        phones=(Phone("mobile", "n/a"),),
    ),
    [],
    "US",
)


def product_field(text, functions=None):
    maps = compile_maps({"product": {"X__c": text}}, account="190001", model="lead", functions=functions)
    return maps.product(RING)["X__c"]


def customer_field(text):
    return compile_maps({"customer": {"X__c": text}}, account="190001", model="contact").customer(MAREN)[
        "X__c"
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("description", "Ring, gold", id="an attribute as it is"),
        pytest.param("description | upper", "RING, GOLD", id="in capitals"),
        pytest.param("description | lower | truncate:4", "ring", id="one function after the other"),
        pytest.param("description|truncate:6", "Ring,", id="no blanks at the cut"),
        pytest.param("maker | strip", "Halden & Co", id="without needless blanks"),
        pytest.param("price | money", Decimal("38.01"), id="half up"),
        pytest.param("price | cents", 3801, id="in cents"),
        pytest.param("price | integer", 38, id="a whole number"),
        pytest.param("price | text", "38.005", id="as text"),
        pytest.param("description | number", None, id="no number in it"),
        pytest.param("custom_sku, system_sku | first", "RNG-1", id="the first there is"),
        pytest.param("upc, ean, system_sku | first", "210000000088", id="the first that is not empty"),
        pytest.param("maker, custom_sku | join:' / '", "  Halden   & Co  / RNG-1", id="joined"),
        pytest.param("upc, custom_sku | join", "RNG-1", id="joined without what is empty"),
        pytest.param("upc | upper", None, id="nothing runs past functions"),
        pytest.param('upc | default:"none, yet"', "none, yet", id="a default, quoted"),
        pytest.param("upc | default:none | upper", "NONE", id="a default, then more"),
        pytest.param("'Till'", "Till", id="a constant"),
        pytest.param("archived | not", True, id="the opposite"),
        pytest.param("upc | bool", False, id="nothing is no"),
        pytest.param("category | part", "Rings", id="the first part"),
        pytest.param("kind | choose:'default=Goods,box=Box'", "Goods", id="other words"),
        pytest.param("kind | choose:box=Box", "default", id="words that are not listed stay"),
        pytest.param("created_at | date", date(2026, 3, 2), id="the day of a moment"),
        pytest.param("id | ref:product", Ref(Kind.PRODUCT, "88"), id="a lookup"),
        pytest.param("id | key:product", "190001-I88", id="our key"),
    ],
)
def test_functions(text, expected):
    assert expected == product_field(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("custom.Ring size | number", Decimal("52.5"), id="a custom field of the till"),
        pytest.param('custom."Ring size"', "52.5", id="its name in quotes"),
        pytest.param("custom.VIP | bool", True, id="yes or no"),
        pytest.param("custom.Nobody knows", None, id="a custom field that this customer lacks"),
        pytest.param("tags | join:', '", "vip, league", id="a list"),
        pytest.param("mobile_phone | e164:US", "n/a", id="what is no number stays as typed"),
    ],
)
def test_customers(text, expected):
    assert expected == customer_field(text)


def test_own_functions():
    own = {"shout": lambda value: f"{value}!", "repeat": lambda value, times: value * int(times)}

    assert "RNG-1!" == product_field("custom_sku | shout", own)
    assert "RNG-1RNG-1" == product_field("custom_sku | repeat:2", own)
    assert product_field("upc | shout", own) is None


def mistakes(overrides, model="contact", functions=None):
    with pytest.raises(ConfigurationInvalid) as found:
        compile_maps(overrides, account="1", model=model, functions=functions)
    return found.value.mistakes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "totl", "there is no 'totl' to read; did you mean total or subtotal?", id="an unknown source"
        ),
        pytest.param("zzz", "there is no 'zzz' to read", id="nothing near"),
        pytest.param("store.name", "there is no 'store.name' to read", id="nothing of that name inside"),
        pytest.param("total.x", "'total' has nothing inside it", id="nothing inside"),
        pytest.param(
            "total | mony", "there is no function 'mony'; did you mean money?", id="an unknown function"
        ),
        pytest.param(
            "total | truncate", "truncate needs an argument, as in truncate:…", id="an argument is missing"
        ),
        pytest.param("total | money:2", "money takes no argument", id="an argument too many"),
        pytest.param(
            "ticket | truncate:0", "truncate:0: at least one character must remain", id="a bad argument"
        ),
        pytest.param("id | ref:shoe", None, id="a lookup to nothing"),
        pytest.param("id | key:shoe", None, id="a key of nothing"),
        pytest.param(
            "ticket | choose:x",
            "choose:x: choices are written from=to, separated by commas",
            id="bad choices",
        ),
        pytest.param(
            "subtotal, total",
            "several sources need a function that makes one of them, such as first or join",
            id="a list",
        ),
        pytest.param("| money", "a source is missing", id="no source"),
        pytest.param("total | ", "'' is no function", id="no function"),
        pytest.param(
            3, 'a text such as "total | money" is expected, or "" to leave the field out', id="no text"
        ),
    ],
)
def test_every_mistake_is_named_with_its_path(text, expected):
    ((path, sentence),) = mistakes({"sale": {"Total__c": text}})

    assert "map.sale.Total__c" == path
    assert expected in {None, sentence}


def test_all_mistakes_come_at_once():
    found = mistakes(
        {"sales": {}, "sale": {"A__c": "x", "B__c": "y"}, "line": "total"}, functions={"money": str}
    )

    paths = [path for path, _ in found]
    assert ["map.sales", "functions.money", "map.sale.A__c", "map.sale.B__c", "map.line"] == paths


def test_only_the_contact_model_writes_accounts():
    assert compile_maps({}, account="1", model="contact").account is not None
    assert compile_maps({}, account="1", model="lead").account is None
    assert [("map.account", "only the contact model has a table for accounts; see map.customer")] == mistakes(
        {"account": {"Name": "name"}}, model="person_account"
    )


@pytest.mark.parametrize("nothing", ["", False])
def test_an_override_may_leave_a_field_out(nothing):
    maps = compile_maps(
        {"product": {"Family": nothing, "ProductCode": "custom_sku"}}, account="1", model="lead"
    )

    assert "Family" not in maps.product.targets
    assert "RNG-1" == maps.product(RING)["ProductCode"]


def test_leaving_a_lookup_out_leaves_its_facts_out():
    maps = compile_maps({"sale": {"Lead__c": ""}}, account="1", model="contact")

    assert "Lead__c" not in maps.sale.refs
    assert "contact" == maps.sale.refs["Contact__c"].part


def test_keys_carry_the_account_and_a_letter():
    assert "190001-S7731" == key("190001", Kind.SALE, "7731")
    maps = compile_maps({}, account="190001", model="lead")
    stock = stock_facts(Stock(product_id="88", store_id="1", on_hand=Decimal(4)), "ALB")

    assert "190001-I88" == maps.product(RING)["Lightspeed_Item_Key__c"]
    assert "190001-Q88-1" == maps.stock(stock)["Inventory_Key__c"]
    assert maps.price.key_field is None


@pytest.mark.parametrize("model", CUSTOMER_MODELS)
def test_customers_of_every_model_have_what_their_object_demands(model):
    payload = compile_maps({}, account="190001", model=model).customer(MAREN)

    assert "190001-C501" == payload["Lightspeed_Customer_Key__c"]
    assert "Oduya" == payload["LastName"]
    assert model != "lead" or "Oduya" == payload["Company"]


@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [
        pytest.param({"A": "x", "B": "y"}, {"B": "y", "A": "x"}, True, id="the order of fields"),
        pytest.param({"A": Decimal("1.50")}, {"A": Decimal("1.5")}, True, id="zeros behind the point"),
        pytest.param({"A": None}, {}, False, id="emptying a field is not leaving it alone"),
        pytest.param({"A": "1"}, {"A": Decimal(1)}, False, id="text and number"),
        pytest.param({"A": True}, {"A": Decimal(1)}, False, id="yes and one"),
        pytest.param({"A": "a01"}, {"A": KeyRef("S__r", "K__c", "a01")}, False, id="an id and a key"),
        pytest.param({"A": date(2026, 3, 2)}, {"A": date(2026, 3, 3)}, False, id="another day"),
    ],
)
def test_payload_hash(a, b, equal):
    assert equal == (payload_hash(a) == payload_hash(b))
    assert 16 == len(payload_hash(a))
