"""One simulated org: its schema, its rows, its users and what each of them may see.

Every door (REST, Bulk, control) writes through `Org.write` and reads through
`Org.query`, so a rule holds whichever way a row comes in. After changing schema,
permission sets or users by hand call `touch()`: it forgets what was derived.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from random import Random
from typing import Any

from tillbridge.simulators.clock import SimClock
from tillbridge.simulators.salesforce import standard
from tillbridge.simulators.salesforce.ids import IdMint, with_checksum
from tillbridge.simulators.salesforce.schema import Field, PermissionSet, RowResult, SObject, User
from tillbridge.simulators.salesforce.table import Row, Table
from tillbridge.simulators.salesforce.usage import Usage
from tillbridge.simulators.salesforce.values import stamp

OBJECT_RIGHTS = frozenset({"create", "read", "edit", "delete", "viewAll", "modifyAll"})
# What the fact sheet marks as inferred, and what an org may have on or off.
SWITCHES: dict[str, Any] = {
    "person_accounts": False,
    "state_country_picklists": False,
    "multi_currency": False,  # True: USD and EUR; or a list of codes, the corporate one first
    "duplicate_rules_on_edit": False,
    "collections_name_duplicates": False,  # whether their rows carry a duplicateResult: undocumented (§6.3)
    "duplicate_rules": {},  # {"Contact": "alert" | "block", "Lead": …}: standard rules, off unless named
    "email_lowercase": True,
    "page_size_random": False,  # query pages of any size up to the batch size
    "page_size": 2000,
    "unordered_shuffled": False,  # rows without ORDER BY come in any order
    "thank_you_flow": False,  # the org's own flow: one mail for each new live transaction with a customer
    "lead_assignment_rule": False,  # one task for each new Lead unless Sforce-Auto-Assign is FALSE
    "detail_upsert_refuses_master": False,  # fact sheet trap 26
    "bad_column_fails_request": False,  # collections: an unknown field fails the whole request, not its row
    "entity_is_deleted_status": 404,  # 400 or 404: sources disagree (§6.2)
    "invalid_locator_status": 404,  # 404 or 400 (§2.4)
    "customize_application": True,  # whether administrators' profiles hold it, as Setup and tooling need
    "tooling_denies": "403",  # or "invalid_type": what the tooling API says to whom it is not open
    "automations": [],  # what the org does by itself: {"kind": "flow", "name": …, "object": …}
    "view_setup": True,  # whether our user may list them
    "trigger_objects": "name",  # or "id": how a trigger names a custom object
    "api_disabled": False,
    "concurrent_limit": False,
    "limit_info_extra": "",  # e.g. "api-bursts=1/750" (§2.1)
    "storage_rows_max": None,
    "late_commit_seconds": 0,  # control edits show up this much later than they are stamped (§5.4)
}


class Schema(dict[str, SObject]):
    """Objects by name as declared; `find` takes a name in any case."""

    def __init__(self) -> None:
        super().__init__()
        self._by_lower_name: dict[str, str] = {}

    def __setitem__(self, name: str, sobject: SObject) -> None:
        super().__setitem__(name, sobject)
        self._by_lower_name[name.lower()] = name

    def find(self, name: str) -> SObject | None:
        """Find an object by name, whatever the case."""
        found = self.get(name)
        if found is None and (known := self._by_lower_name.get(name.lower())):
            return self[known]
        return found


class Org:
    """The state of one org. Not thread-safe: the HTTP face holds one lock."""

    def __init__(self, clock: SimClock, *, switches: dict[str, Any] | None = None, seed: int = 1) -> None:
        self.clock = clock
        self.rng = Random(seed)
        self.mint = IdMint()
        self.id = self.mint.new("00D")
        self.switches: dict[str, Any] = {**SWITCHES, **(switches or {})}
        self.schema = Schema()
        self.tables: dict[str, Table] = {}
        self.by_prefix: dict[str, Table] = {}
        self.permission_sets: dict[str, PermissionSet] = {}
        self.users: dict[str, User] = {}
        self.usage = Usage(clock)
        self.schema_changed = clock.now()
        self.automation = {"mails": 0, "tasks": 0}
        self.validations: list[dict[str, Any]] = []
        self.locked: set[str] = set()
        self.lock_percent = 0.0
        self.field_overrides: dict[tuple[str, str], tuple[bool, bool]] = {}
        self.refs: dict[str, str] = {}
        self.late: list[tuple[float, Callable[[], Any]]] = []
        self.undo: list[tuple[Table, str, Row | None]] | None = None
        self.derived: dict[tuple[str, ...], Any] = {}
        self.extras: dict[str, Any] = {}  # what the doors remember: sessions, jobs, deploys
        self._stamp = (-1, "")
        self._setup_current = False
        self._custom_prefixes = 0
        self._furnish()

    # -- schema ---------------------------------------------------------------

    def find(self, name: str) -> SObject | None:
        """Find an object by name, whatever the case."""
        return self.schema.find(name)

    def add_object(self, sobject: SObject) -> None:
        """Create an object; system fields it does not declare are added, and a prefix if it has none."""
        if any(field.master_detail for field in sobject.fields.values()):
            sobject.owned = False
        if not sobject.prefix:
            sobject.prefix = f"a{self._custom_prefixes:02d}"
            self._custom_prefixes += 1
        for field in standard.system_fields(sobject):
            sobject.fields[field.name] = field
        if self.currencies and "CurrencyIsoCode" not in sobject.fields:
            sobject.fields["CurrencyIsoCode"] = standard.currency_field(self.currencies)
        if not sobject.owned:
            sobject.fields.pop("OwnerId", None)
        self.schema[sobject.name] = sobject
        self.tables[sobject.name] = self.by_prefix[sobject.prefix] = Table(sobject)
        self.schema_changed = self.clock.now()
        self.touch()

    def add_field(self, object_name: str, field: Field) -> None:
        """Create or replace a field of an object."""
        sobject = self.schema[object_name]
        sobject.fields[field.name] = field
        if field.master_detail and sobject.owned:
            sobject.owned = False
            sobject.fields.pop("OwnerId", None)
        self.tables[object_name].watch(field)
        self.schema_changed = self.clock.now()
        if object_name == "Contact" and field.custom and self.switches["person_accounts"]:
            shown = field.name[: -len("__c")] + "__pc"
            self.schema["Account"].fields[shown] = standard.person_field(field, shown)
        self.touch()

    def add_permission_set(self, permission_set: PermissionSet) -> None:
        """Create or replace a permission set; it keeps its id."""
        known = self.permission_sets.get(permission_set.name)
        permission_set.id = known.id if known else permission_set.id or self.new_id("0PS")
        self.permission_sets[permission_set.name] = permission_set
        self.touch()

    def touch(self) -> None:
        """Forget everything derived from schema and permissions."""
        self.derived.clear()
        self._setup_current = False

    def refresh_setup(self) -> None:
        """Bring the rows of permission sets up to date before somebody reads them."""
        from tillbridge.simulators.salesforce import setup

        if not self._setup_current:
            setup.keep_current(self)
            self._setup_current = True

    @property
    def currencies(self) -> list[str]:
        """Return the active currencies of an org with several, the corporate one first; else nothing."""
        wish = self.switches["multi_currency"]
        return (list(wish) if isinstance(wish, list) else ["USD", "EUR"]) if wish else []

    def enable_person_accounts(self) -> None:
        """Turn on person accounts, for ever (fact sheet §7.1)."""
        account, contact = self.schema["Account"], self.schema["Contact"]
        self.switches["person_accounts"] = True
        if "IsPersonAccount" in account.fields:
            return
        contact.fields["IsPersonAccount"] = Field(
            "IsPersonAccount",
            "boolean",
            "Is Person Account",
            createable=False,
            updateable=False,
            default=False,
        )
        for field in [*standard.person_fields(contact), standard.record_type_field()]:
            account.fields[field.name] = field
        for field in [f for f in contact.fields.values() if f.custom]:
            self.add_field("Contact", field)
        for name, label, person in (
            ("Business_Account", "Business Account", False),
            ("PersonAccount", "Person Account", True),
        ):
            self.furnish(
                "RecordType",
                Name=label,
                DeveloperName=name,
                SobjectType="Account",
                IsActive=True,
                IsPersonType=person,
            )
        self.touch()

    def enable_state_picklists(self) -> None:
        """Turn on state and country picklists: every address gets two codes (fact sheet §7.1)."""
        self.switches["state_country_picklists"] = True
        for sobject in self.schema.values():
            for compound in [f.name for f in sobject.fields.values() if f.type == "address"]:
                for field in standard.code_fields(compound[: -len("Address")]):
                    person_of = field.name.removeprefix("Person") if compound.startswith("Person") else ""
                    sobject.fields.setdefault(field.name, replace(field, person_of=person_of))
        self.touch()

    def enable_currencies(self) -> None:
        """Turn on more than one currency: every object gets CurrencyIsoCode (fact sheet §7.3)."""
        for sobject in self.schema.values():
            sobject.fields.setdefault("CurrencyIsoCode", standard.currency_field(self.currencies))
        if "CurrencyType" not in self.schema:
            self.add_object(standard.object_named("CurrencyType"))
            for code in self.currencies:
                self.furnish(
                    "CurrencyType", IsoCode=code, ConversionRate=1.0, DecimalPlaces=2, IsActive=True,
                    IsCorporate=code == self.currencies[0],
                )  # fmt: skip
        self.touch()

    # -- people and rights ----------------------------------------------------

    def add_user(self, username: str, name: str, **more: Any) -> User:
        """Create a user."""
        user = User(self.new_id("005"), username, name, **more)
        self.users[user.id] = user
        first, _, last = name.rpartition(" ")
        self.furnish(
            "User", Id=user.id, Username=username, Name=name, FirstName=first or None, LastName=last,
            Email=user.email or username, IsActive=user.active, UserType="Standard",
        )  # fmt: skip
        self.touch()
        return user

    def user_named(self, username: str) -> User | None:
        """Find a user by user name."""
        return next((u for u in self.users.values() if u.username.lower() == username.lower()), None)

    def permission_sets_of(self, user: User) -> list[PermissionSet]:
        """Return the permission sets a user is assigned to."""
        return [
            self.permission_sets[name]
            for name in sorted(user.permission_sets)
            if name in self.permission_sets
        ]

    def has_custom_permission(self, user: User, name: str) -> bool:
        """Say whether a user holds a custom permission through a permission set."""
        return any(name in held.custom_permissions for held in self.permission_sets_of(user))

    def can(self, user: User, sobject: SObject | str, right: str) -> bool:
        """Say whether a user has a right on an object."""
        found = self.find(sobject) if isinstance(sobject, str) else sobject
        return found is not None and right in self.rights(user, found)

    def rights(self, user: User, sobject: SObject) -> frozenset[str]:
        """Return a user's rights on an object: the sum of the permission sets, or all on standard objects."""
        key = ("rights", user.id, sobject.name)
        if key not in self.derived:
            self.derived[key] = self._rights(user, sobject)
        found: frozenset[str] = self.derived[key]
        return found

    def _rights(self, user: User, sobject: SObject) -> frozenset[str]:
        if user.sees_everything or (user.all_standard and not sobject.custom):
            return OBJECT_RIGHTS
        held: set[str] = set()
        for permission_set in self.permission_sets_of(user):
            held |= permission_set.objects.get(sobject.name, set())
        return frozenset(held | ({"viewAll"} if "modifyAll" in held else set()))

    def visible_fields(self, user: User, sobject: SObject) -> frozenset[str]:
        """Return the names of the fields that exist for a user."""
        return self._field_rights(user, sobject)[0]

    def editable_fields(self, user: User, sobject: SObject) -> frozenset[str]:
        """Return the names of the fields a user may write, as far as security goes."""
        return self._field_rights(user, sobject)[1]

    def _field_rights(self, user: User, sobject: SObject) -> tuple[frozenset[str], frozenset[str]]:
        key = ("fields", user.id, sobject.name)
        if key not in self.derived:
            masks = {field.name: self._mask(user, sobject, field) for field in sobject.fields.values()}
            readable = frozenset(name for name, mask in masks.items() if mask[0])
            self.derived[key] = readable, frozenset(name for name, mask in masks.items() if mask[1])
        found: tuple[frozenset[str], frozenset[str]] = self.derived[key]
        return found

    def _mask(self, user: User, sobject: SObject, field: Field) -> tuple[bool, bool]:
        name = f"{sobject.name}.{field.name}"
        override = self.field_overrides.get((user.id, name))
        if override is not None:
            return override
        if user.sees_everything or field.always_visible or (user.all_standard and not field.custom):
            return True, True
        # Required and master-detail fields carry no security of their own (fact sheet §8.2).
        if field.required or field.master_detail or field.name == "Name":
            return True, True
        if field.person_of and field.name.endswith("__pc"):
            name = f"Contact.{field.person_of}"
        grants = [held.fields[name] for held in self.permission_sets_of(user) if name in held.fields]
        return any(readable or editable for readable, editable in grants), any(
            editable for _, editable in grants
        )

    def sees_all_rows(self, user: User, sobject: SObject) -> bool:
        """Say whether sharing hides no row of an object from a user."""
        if user.sees_everything or sobject.sharing in {"ReadWrite", "Read", "ReadWriteTransfer"}:
            return True
        if sobject.sharing == "ControlledByParent" or not sobject.owned:
            masters = [f.reference_to[0] for f in sobject.fields.values() if f.master_detail]
            return all(self.sees_all_rows(user, self.schema[name]) for name in masters if name in self.schema)
        return "viewAll" in self.rights(user, sobject)

    def sees(self, user: User, sobject: SObject, field: Field) -> bool:
        """Say whether a field exists for a user."""
        return field.name in self.visible_fields(user, sobject)

    def sees_row(self, user: User, table: Table, row: Row) -> bool:
        """Say whether sharing lets a user see a row: its owner, or the owner of its master."""
        if self.sees_all_rows(user, table.sobject):
            return True
        if table.sobject.owned:
            return bool(row.get("OwnerId") == user.id)
        for field in table.sobject.fields.values():
            if field.master_detail and (parent_id := row.get(field.name)):
                parent = self.tables[field.reference_to[0]]
                master = parent.rows.get(parent_id) or parent.bin.get(parent_id)
                return master is not None and self.sees_row(user, parent, master)
        return True

    # -- rows -----------------------------------------------------------------

    def new_id(self, prefix: str) -> str:
        """Return a fresh 18-character id."""
        return self.mint.new(prefix)

    def now_text(self) -> str:
        """Return the statement's stamp, whole seconds."""
        second = int(self.clock.now())
        if second != self._stamp[0]:
            self._stamp = second, stamp(second)
        return self._stamp[1]

    def rows(self, sobject_name: str) -> dict[str, Row]:
        """Return the live rows of an object by id."""
        return self.tables[sobject_name].rows

    def row(self, row_id: str) -> tuple[Table, Row] | None:
        """Find a row by id, live or in the Recycle Bin."""
        table = self.by_prefix.get(row_id[:3])
        if table is None:
            return None
        known = row_id if len(row_id) == 18 else with_checksum(row_id[:15])
        found = table.rows.get(known) or table.bin.get(known)
        return (table, found) if found is not None else None

    def write(
        self,
        user: User,
        sobject_name: str,
        op: str,
        fields: dict[str, Any],
        *,
        ext_field: str | None = None,
        source: str = "rest",
        auto_assign: bool = True,
        allow_duplicates: bool = False,
    ) -> RowResult:
        """Write one row under all rules. `op`: insert, update, upsert, delete, hardDelete.

        `fields` may hold a parent by external id, nested (`Store__r: {…}`) or flat
        (`Store__r.Store_Key__c`); None clears. Update and delete want `Id` in it.
        """
        from tillbridge.simulators.salesforce import writing

        options = writing.Options(ext_field, source, auto_assign, allow_duplicates)
        return writing.write(self, user, sobject_name, op, fields, options)

    def query(self, user: User, text: str, *, all_rows: bool = False) -> list[dict[str, Any]]:
        """Run SOQL and return every record as the API shows it."""
        from tillbridge.simulators.salesforce import soql

        result = soql.run(self, user, text, all_rows=all_rows)
        return result.records(0, result.size)

    def check_query(self, user: User, text: str) -> str:
        """Refuse SOQL that would not run; returns the object it reads."""
        from tillbridge.simulators.salesforce import soql

        return soql.check(self, user, text)

    def load(self, rows: Iterable[Any]) -> dict[str, str]:
        """Enter rows as the org's own people would have, and return ref -> id."""
        from tillbridge.simulators.salesforce import loading

        return loading.load(self, rows)

    def merge(self, winner: str, loser: str) -> None:
        """Merge one row into another (fact sheet §7.4)."""
        from tillbridge.simulators.salesforce import people

        people.merge(self, winner, loser)

    @property
    def api_limit(self) -> int:
        """Return the calls allowed in a rolling day."""
        return self.usage.daily_max

    @property
    def calls(self) -> int:
        """Return the calls used in the rolling day, by everybody."""
        return self.usage.used()

    @property
    def row_count(self) -> int:
        """Return how many live rows take up storage."""
        return sum(len(table.rows) for table in self.tables.values())

    def settle(self) -> None:
        """Commit the late transactions whose moment has come."""
        if self.late:
            now = self.clock.now()
            due = [work for at, work in self.late if at <= now]
            self.late = [(at, work) for at, work in self.late if at > now]
            for work in due:
                work()

    # -- what a new org holds -------------------------------------------------

    def _furnish(self) -> None:
        for sobject in standard.objects():
            if sobject.name not in standard.MULTI_CURRENCY_ONLY:
                self.add_object(sobject)
        self.system = User(
            self.new_id("005"), "automation@org.example", "Automated Process", sees_everything=True
        )
        self.users[self.system.id] = self.system
        self.furnish(
            "Organization",
            Id=self.id,
            Name="Demo Jewellers",
            OrganizationType="Enterprise Edition",
            IsSandbox=False,
        )
        self.furnish(
            "User",
            Id=self.system.id,
            Username=self.system.username,
            Name=self.system.name,
            LastName="Process",
            IsActive=True,
        )
        self.staff = self.add_user("staff@demo.example", "Store Staff", sees_everything=True)
        self.standard_pricebook = self.furnish(
            "Pricebook2", Name="Standard Price Book", IsActive=True, IsStandard=True
        )
        if self.switches["person_accounts"]:
            self.enable_person_accounts()
        if self.switches["state_country_picklists"]:
            self.enable_state_picklists()
        if self.switches["multi_currency"]:
            self.enable_currencies()

    def furnish(self, object_name: str, **values: Any) -> str:
        """Enter a row that no API could create."""
        table = self.tables[object_name]
        row_id: str = values.get("Id") or self.new_id(table.sobject.prefix)
        now = self.now_text()
        system = {"CreatedDate": now, "LastModifiedDate": now, "SystemModstamp": now}
        by = {"CreatedById": self.system.id, "LastModifiedById": self.system.id}
        table.put({"Id": row_id, **system, **by, **{k: v for k, v in values.items() if v is not None}})
        return row_id
