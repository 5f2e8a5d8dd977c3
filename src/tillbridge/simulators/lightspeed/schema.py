"""Name every entity: its fields in the vendor's order, its types, what it sorts by, and who may see it.

Source: fact sheet A4 (sortable fields), A8 (fields and samples), A2 (scopes).
A row is a dict with the vendor's field names and Python values; a field that is
missing from a row has its type's default. A `View` says which fields are shown,
in which order: the same row looks different inside a sale (A7.10).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

Row = dict[str, Any]
Kind = Literal["int", "money", "bool", "time", "text"]

KINDS: dict[str, Kind] = {"i": "int", "d": "money", "b": "bool", "t": "time", "s": "text"}
DEFAULTS: dict[Kind, Any] = {"int": 0, "money": Decimal(0), "bool": False, "time": None, "text": ""}


@dataclass(frozen=True, slots=True)
class Field:
    """One scalar field. A time that is None is left out of the answer, everything else is always there."""

    name: str
    kind: Kind

    @property
    def default(self) -> Any:
        """The value of a field that a row does not name."""
        return DEFAULTS[self.kind]


@dataclass(frozen=True, slots=True)
class View:
    """What is shown of a row: fields, then the relations that were asked for, then the closing fields."""

    head: tuple[Field, ...]
    tail: tuple[Field, ...] = ()


@dataclass(frozen=True, slots=True)
class Entity:
    """One resource of the API. `ends` says what DELETE does to it, None: there is no DELETE."""

    name: str
    key: str
    view: View
    sorts: frozenset[str]
    scopes: frozenset[str]
    ends: Literal["archive", "remove"] | None = None

    @property
    def fields(self) -> dict[str, Field]:
        """All shown fields by name."""
        return {f.name: f for f in (*self.view.head, *self.view.tail)}


def fields(spec: str) -> tuple[Field, ...]:
    """Read `name:type` pairs; types are i(nteger), d(ecimal), b(ool), t(ime) and s(tring)."""
    return tuple(Field(name, KINDS[kind]) for name, kind in (word.split(":") for word in spec.split()))


def view(head: str, tail: str = "") -> View:
    """Make a view from two field lists."""
    return View(fields(head), fields(tail))


def words(text: str) -> frozenset[str]:
    """Read a list of names."""
    return frozenset(text.split())


def _entity(name: str, key: str, sorts: str, scopes: str, shown: View, ends: Any = None) -> Entity:
    return Entity(name, key, shown, words(sorts) | {key}, words(scopes), ends)


SALE = view(
    "saleID:i timeStamp:t discountPercent:d completed:b archived:b voided:b enablePromotions:b "
    "isTaxInclusive:b createTime:t updatetime:t completeTime:t referenceNumber:s referenceNumberSource:s "
    "tax1Rate:d tax2Rate:d change:d tipEnabled:b receiptPreference:s displayableSubtotal:d ticketNumber:s "
    "calcDiscount:d calcTotal:d calcSubtotal:d calcTaxable:d calcNonTaxable:d calcAvgCost:d "
    "calcFIFOCost:d calcTax1:d calcTax2:d calcPayments:d calcTips:d calcItemFees:d total:d totalDue:d "
    "displayableTotal:d balance:d customerID:i discountID:i employeeID:i tipEmployeeID:i quoteID:i "
    "registerID:i shipToID:i shopID:i taxCategoryID:i",
    "taxTotal:d",
)
SALE_LINE = view(
    "saleLineID:i createTime:t timeStamp:t unitQuantity:d unitPrice:d normalUnitPrice:d discountAmount:d "
    "discountPercent:d avgCost:d fifoCost:d tax:b tax1Rate:d tax2Rate:d isLayaway:b isWorkorder:b "
    "isSpecialOrder:b displayableSubtotal:d displayableUnitPrice:d lineType:s calcLineDiscount:d "
    "calcTransactionDiscount:d calcTotal:d calcSubtotal:d calcTax1:d calcTax2:d taxClassID:i customerID:i "
    "discountID:i employeeID:i itemID:i noteID:i parentSaleLineID:i shopID:i taxCategoryID:i saleID:i "
    "itemFeeID:i"
)
SALE_PAYMENT = view(
    "salePaymentID:i amount:d tipAmount:d createTime:t archived:b remoteReference:s paymentID:s saleID:i "
    "paymentTypeID:i ccChargeID:i refPaymentID:i registerID:i employeeID:i creditAccountID:i"
)
CUSTOMER = view(
    "firstName:s lastName:s dob:t title:s company:s companyRegistrationNumber:s vatNumber:s "
    "creditAccountID:i customerTypeID:i discountID:i taxCategoryID:i",
    "customerID:i createTime:t timeStamp:t archived:b",
)
# A customer inside a sale names its contact, note and employee, and has another order (A7.10, A8.2).
CUSTOMER_IN_SALE = view(
    "customerID:i firstName:s lastName:s archived:b dob:t title:s company:s companyRegistrationNumber:s "
    "vatNumber:s createTime:t timeStamp:t contactID:i creditAccountID:i customerTypeID:i discountID:i "
    "employeeID:i noteID:i taxCategoryID:i"
)
CREDIT_ACCOUNT = view(
    "creditAccountID:i name:s code:s creditLimit:d description:s giftCard:b archived:b timeStamp:t "
    "customerID:i balance:d"
)
# Inside a customer a credit account is cut down (A7.10).
CREDIT_ACCOUNT_IN_CUSTOMER = view("creditAccountID:i balance:d creditLimit:d timeStamp:t")
ITEM = view(
    "itemID:i systemSku:s defaultCost:d avgCost:d discountable:b tax:b archived:b itemType:s serialized:b "
    "description:s modelYear:i upc:s ean:s customSku:s manufacturerSku:s createTime:t timeStamp:t "
    "publishToEcom:b categoryID:i taxClassID:i departmentID:i itemMatrixID:i manufacturerID:i seasonID:i "
    "defaultVendorID:i"
)
ITEM_SHOP = view(
    "itemShopID:i qoh:i sellable:i backorder:i componentQoh:i componentBackorder:i onLayaway:i "
    "onSpecialOrder:i onWorkorder:i onTransferOut:i onTransferIn:i averageCost:d nextFifoLotID:i "
    "nextFifoLotCost:d lastReceivedLotID:i lastReceivedCost:d totalValueFifo:d totalValueAvgCost:d "
    "totalValueNegativeInventory:d reorderPoint:i reorderLevel:i timeStamp:t itemID:i shopID:i"
)
TAX_CATEGORY_CLASS = view(
    "taxCategoryClassID:i tax1Rate:d tax2Rate:d timeStamp:t taxCategoryID:i taxClassID:i"
)

ANY_READER = "all customers customers_read inventory inventory_read register register_read reports"

ENTITIES: dict[str, Entity] = {
    entity.name: entity
    for entity in (
        _entity(
            "Sale",
            "saleID",
            "timeStamp completeTime updatetime",
            "all register register_read",
            SALE,
            "archive",
        ),
        _entity(
            "SaleLine", "saleLineID", "timeStamp saleID", "all register register_read", SALE_LINE, "remove"
        ),
        _entity(
            "SalePayment", "salePaymentID", "timeStamp saleID", "all register register_read", SALE_PAYMENT
        ),
        _entity(
            "SaleVoid",
            "saleVoidID",
            "saleID",
            "all admin admin_void_sale",
            view("saleVoidID:i createTime:t reason:s saleID:i employeeID:i shopID:i"),
        ),
        _entity(
            "Customer",
            "customerID",
            "timeStamp firstName lastName",
            "all customers customers_read",
            CUSTOMER,
            "archive",
        ),
        _entity(
            "CustomerType",
            "customerTypeID",
            "",
            "all customers customers_read",
            view("customerTypeID:i name:s taxCategoryID:i discountID:i"),
            "remove",
        ),
        _entity(
            "CustomField",
            "customFieldID",
            "timeStamp name",
            "all customers customers_read",
            view("customFieldID:i type:s name:s uom:s decimalPrecision:i archived:b default:s"),
            "archive",
        ),
        _entity(
            "CreditAccount",
            "creditAccountID",
            "timeStamp customerID",
            "all customers",
            CREDIT_ACCOUNT,
            "archive",
        ),
        _entity("Item", "itemID", "timeStamp description", "all inventory inventory_read", ITEM, "archive"),
        _entity("ItemShop", "itemShopID", "timeStamp", "all inventory inventory_read", ITEM_SHOP),
        _entity(
            "Category",
            "categoryID",
            "timeStamp leftNode rightNode",
            "all inventory inventory_read categories",
            view(
                "categoryID:i name:s nodeDepth:i fullPathName:s leftNode:i rightNode:i createTime:t "
                "timeStamp:t parentID:i"
            ),
            "remove",
        ),
        _entity(
            "Manufacturer",
            "manufacturerID",
            "timeStamp name",
            "all inventory inventory_read manufacturers",
            view("manufacturerID:i name:s createTime:t timeStamp:t"),
        ),
        _entity(
            "Shop",
            "shopID",
            "",
            ANY_READER + " admin_shops",
            view(
                "shopID:i name:s serviceRate:d timeZone:s taxLabor:b labelTitle:s labelMsrp:b archived:b "
                "timeStamp:t companyRegistrationNumber:s vatNumber:s zebraBrowserPrint:b contactID:i "
                "taxCategoryID:i receiptSetupID:i ccGatewayID:i gatewayConfigID:i priceLevelID:i"
            ),
        ),
        _entity(
            "Register",
            "registerID",
            "",
            "all register register_read",
            view(
                "registerID:i name:s open:b openTime:t archived:b tipEnabled:b openEmployeeID:i shopID:i "
                "ccTerminalID:i"
            ),
        ),
        _entity(
            "Employee",
            "employeeID",
            "timeStamp",
            ANY_READER + " admin_employees",
            view(
                "employeeID:i firstName:s lastName:s lockOut:b archived:b timeStamp:t contactID:i "
                "clockInEmployeeHoursID:i employeeRoleID:i limitToShopID:i lastShopID:i lastSaleID:i "
                "lastRegisterID:i"
            ),
            "remove",
        ),
        _entity(
            "TaxCategory",
            "taxCategoryID",
            "timeStamp",
            ANY_READER,
            view("taxCategoryID:i isTaxInclusive:b tax1Name:s tax2Name:s tax1Rate:d tax2Rate:d timeStamp:t"),
            "remove",
        ),
        _entity(
            "TaxClass",
            "taxClassID",
            "timeStamp",
            ANY_READER,
            view("taxClassID:i name:s timeStamp:t"),
            "remove",
        ),
        _entity(
            "PaymentType",
            "paymentTypeID",
            "",
            "all register register_read",
            view(
                "paymentTypeID:i name:s requireCustomer:b archived:b internalReserved:b type:s "
                "refundAsPaymentTypeID:i"
            ),
            "archive",
        ),
        _entity(
            "Discount",
            "discountID",
            "timeStamp",
            ANY_READER,
            view(
                "discountID:i name:s discountAmount:d discountPercent:d requireCustomer:b archived:b "
                "sourceID:i createTime:t timeStamp:t"
            ),
            "archive",
        ),
        _entity("Tag", "tagID", "name", ANY_READER, view("tagID:i name:s"), "remove"),
        _entity(
            "Serialized",
            "serializedID",
            "timeStamp serial",
            "all inventory inventory_read",
            view(
                "serializedID:i colorName:s sizeName:s serial:s description:s timeStamp:t itemID:i "
                "saleLineID:i customerID:i"
            ),
            "remove",
        ),
        _entity(
            "Workorder",
            "workorderID",
            "timeStamp",
            "all workbench",
            view(
                "workorderID:i systemSku:s timeIn:t etaOut:t note:s internalNote:s warranty:b tax:b "
                "archived:b hookIn:s hookOut:s saveParts:b assignEmployeeToAll:b timeStamp:t customerID:i "
                "discountID:i employeeID:i serializedID:i shopID:i saleID:i saleLineID:i "
                "workorderStatusID:i"
            ),
            "archive",
        ),
    )
}

# Kept in a row beside its fields; shown as relations, never as scalars.
NESTED: dict[str, frozenset[str]] = {
    "Sale": frozenset({"SaleLines", "SalePayments", "SaleNotes"}),
    "SaleLine": frozenset({"Note"}),
    "SalePayment": frozenset({"timeStamp", "SaleAccounts", "CCCharge"}),
    "Customer": frozenset(
        {"Contact", "CustomFieldValues", "Tags", "Note", "contactID", "noteID", "employeeID"}
    ),
    "CustomField": frozenset({"timeStamp"}),
    "Item": frozenset({"Prices", "ItemShops", "Note"}),
    "Shop": frozenset({"Contact"}),
    "TaxCategory": frozenset({"TaxCategoryClasses"}),
}


def check_row(entity: Entity, row: Row) -> None:
    """Refuse a row with a field nobody would ever show: a misspelling would otherwise vanish."""
    unknown = row.keys() - entity.fields.keys() - NESTED.get(entity.name, frozenset())
    if unknown:
        raise ValueError(f"{entity.name} has no field {', '.join(sorted(unknown))}")
