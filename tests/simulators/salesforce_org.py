"""A small org with our kind of objects, and one user who may write them: for the tests of the simulator."""

import json
from datetime import UTC, datetime

from salesforce_doors import ask

from tillbridge.simulators.clock import SimClock
from tillbridge.simulators.salesforce import oauth
from tillbridge.simulators.salesforce.app import SalesforceApp
from tillbridge.simulators.salesforce.org import Org
from tillbridge.simulators.salesforce.schema import Field, PermissionSet, SObject

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
NOON_TEXT = "2026-11-21T12:00:00.000+0000"
V = "/services/data/v67.0"
ALL = {"create", "read", "edit", "delete", "viewAll", "modifyAll"}


def text(name, length=80, **more):
    return Field(name, "string", name, length, custom=True, **more)


def key(name, **more):
    return text(name, 60, unique=True, external_id=True, **{"case_sensitive": True, **more})


def lookup(name, target, relationship, **more):
    return Field(
        name,
        "reference",
        name,
        18,
        reference_to=[target],
        relationship=relationship,
        custom=True,
        **more,
    )


def custom(name, label, *fields, **more):
    return SObject(name, label, "", {field.name: field for field in fields}, custom=True, **more)


def furnish(org):
    """Add stores, sales with lines, and keys on the customer objects."""
    master = lookup(
        "Sale__c", "Sale__c", "Sale__r", master_detail=True, required=True, child_relationship="Lines"
    )
    objects = [
        custom("Store__c", "Store", key("Store_Key__c"), text("Loose_Key__c", external_id=True)),
        custom(
            "Sale__c",
            "Sale",
            key("Sale_Key__c"),
            key("Folded_Key__c", case_sensitive=False),
            lookup("Store__c", "Store__c", "Store__r", child_relationship="Sales"),
            lookup("Account__c", "Account", "Account__r", child_relationship="Sales"),
            Field("Total__c", "currency", precision=10, scale=2, custom=True),
            Field("Day__c", "date", custom=True),
            Field("At__c", "datetime", custom=True),
            Field("Gift__c", "boolean", default=False, custom=True),
            Field(
                "Status__c",
                "picklist",
                length=20,
                values=["Completed", "Voided"],
                restricted=True,
                custom=True,
            ),
            Field("Tags__c", "multipicklist", length=200, values=["a", "b", "c"], custom=True),
            Field("Note__c", "textarea", length=32000, custom=True),
            text("Secret__c"),
        ),
        custom(
            "Line__c", "Line", key("Line_Key__c"), master, text("SKU__c", 20), sharing="ControlledByParent"
        ),
    ]
    for sobject in objects:
        org.add_object(sobject)
    for name in ("Account", "Contact", "Lead"):
        org.add_field(name, key("Customer_Key__c"))
    fields = {
        f"{s.name}.{f.name}": (True, True)
        for s in org.schema.values()
        for f in s.fields.values()
        if f.custom and f.name != "Secret__c"
    }
    rights = {s.name: set(ALL) for s in objects}
    org.add_permission_set(PermissionSet("Sync", "Sync", objects=rights, fields=fields))
    user = org.add_user("sync@shop.example", "Sync User")
    user.permission_sets.add("Sync")
    org.touch()
    return user


class Shop:
    """An org with its user, reached as Python or through the REST door without sockets."""

    def __init__(self, **switches):
        self.clock = SimClock(NOON.timestamp(), running=False)
        self.org = Org(self.clock, switches=switches)
        self.user = furnish(self.org)
        self.app = SalesforceApp(self.clock, self.org)
        self.login()

    def login(self):
        self.token = oauth.login(self.org, self.user.username)

    def write(self, name, op="insert", ext=None, source="rest", **fields):
        return self.org.write(self.user, name, op, fields, ext_field=ext, source=source)

    def made(self, name, **fields):
        result = self.write(name, **fields)
        assert result.success, result.errors
        return result.id

    def code(self, name, op="insert", ext=None, **fields):
        return [error.code for error in self.write(name, op, ext, **fields).errors]

    def row(self, row_id):
        return self.org.row(row_id)[1]

    def query(self, soql, **more):
        return self.org.query(self.user, soql, **more)

    def ids(self, soql, **more):
        return [row["Id"] for row in self.query(soql, **more)]

    def rest(self, method, path, body=None, **headers):
        """Answer (status, parsed body, headers) of a call below the version."""
        target = path if path.startswith("/services") else V + path
        content = json.dumps(body).encode() if body is not None else b""
        named = {"content_type": "application/json", "authorization": f"Bearer {self.token}", **headers}
        response = self.app.handle(ask(method, target, content, **named))
        is_json = "json" in response.headers.get("Content-Type", "")
        return response.status, json.loads(response.body) if is_json else response.body, response.headers

    def control(self, method, path, body=None):
        content = json.dumps(body).encode() if body is not None else b""
        response = self.app.control(ask(method, f"/control/{path}", content))
        return response.status, json.loads(response.body)
