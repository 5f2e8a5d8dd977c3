"""The org as it would be after a deployment: what is there, with the package laid over it.

Components are checked against this view, and nothing reaches the org before the
whole package is known to be good, or the deployment said it takes the good half.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from tillbridge.simulators.salesforce import setup, standard
from tillbridge.simulators.salesforce.deploy_zip import Component, Problem
from tillbridge.simulators.salesforce.org import Org
from tillbridge.simulators.salesforce.schema import Field, PermissionSet, SObject


@dataclass(frozen=True, slots=True)
class Success:
    """One component that is as the package wants it."""

    kind: str
    name: str
    file: str
    created: bool
    changed: bool = True


@dataclass(slots=True)
class View:
    """What the package makes of the org. `stored` holds what is only kept, by type and name."""

    org: Org
    stored: dict[str, dict[str, Any]]
    drafts: dict[str, SObject] = field(default_factory=dict)
    new_fields: dict[str, list[str]] = field(default_factory=dict)
    record_types: list[tuple[str, str, str, bool]] = field(default_factory=list)
    permission_sets: dict[str, PermissionSet] = field(default_factory=dict)
    kept: dict[str, dict[str, Component]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    successes: list[Success] = field(default_factory=list)

    def find(self, name: str) -> SObject | None:
        """Find an object as it will be."""
        for known, draft in self.drafts.items():
            if known.lower() == name.lower():
                return draft
        return self.org.find(name)

    def field(self, object_name: str, name: str) -> Field | None:
        """Find a field as it will be."""
        sobject = self.page_object(object_name)
        return sobject.find(name) if sobject is not None else None

    def page_object(self, name: str) -> SObject | None:
        """Find the object of a layout: PersonAccount is Account's other page, where there are persons."""
        account = self.find("Account") if name == "PersonAccount" else None
        return account if account and "IsPersonAccount" in account.fields else self.find(name)

    def draft(self, sobject: SObject) -> SObject:
        """Return a copy of an object that the package may change."""
        if sobject.name not in self.drafts:
            copy = replace(sobject, fields=dict(sobject.fields))
            if self.org.find(sobject.name) is None:
                for system in standard.system_fields(copy):
                    copy.fields[system.name] = system
            self.drafts[sobject.name] = copy
        return self.drafts[sobject.name]

    def has(self, kind: str, name: str) -> bool:
        """Say whether a component that is only kept will be there."""
        return name in self.kept.get(kind, {}) or name in self.stored.get(kind, {})

    def keep(self, component: Component) -> None:
        """Keep a component that the simulator does nothing with but know it."""
        created = component.name not in self.stored.get(component.kind, {})
        self.kept.setdefault(component.kind, {})[component.name] = component
        self.successes.append(Success(component.kind, component.name, component.file, created))

    def fail(
        self, component: Component, text: str, *, kind: str = "", name: str = "", at: Any = None
    ) -> None:
        """Note what is wrong, with the place in the file."""
        node = at if at is not None else component.node
        problem = Problem(
            kind or component.kind, name or component.name, component.file, text, node.line, node.column
        )
        self.problems.append(problem)

    def warn(self, component: Component, text: str, *, kind: str, name: str) -> None:
        """Note what the platform would do and this simulator does not."""
        self.problems.append(Problem(kind, name, component.file, text, component.node.line, warning=True))

    def drop(self, object_name: str) -> None:
        """Take an object back out that turned out bad as a whole."""
        self.drafts.pop(object_name, None)
        self.new_fields.pop(object_name, None)

    def apply(self) -> None:
        """Write everything that was found good into the org."""
        for draft in self.drafts.values():
            live = self.org.find(draft.name)
            if live is None:
                self.org.add_object(draft)
                continue
            for name in ("label", "label_plural", "sharing", "name_autonumber"):
                setattr(live, name, getattr(draft, name))
            for name in self.new_fields.get(draft.name, []):
                # An index that was made for the old definition may fold case otherwise.
                self.org.tables[draft.name].indexes.pop(name, None)
                self.org.add_field(draft.name, draft.fields[name])
        for object_name, name, label, active in self.record_types:
            _apply_record_type(self.org, object_name, name, label, active=active)
        for permission_set in self.permission_sets.values():
            _apply_permission_set(self.org, permission_set)
        for kind, components in self.kept.items():
            self.stored.setdefault(kind, {}).update(components)
        self.org.touch()


def _apply_record_type(org: Org, object_name: str, name: str, label: str, *, active: bool) -> None:
    if "RecordTypeId" not in org.schema[object_name].fields:
        org.add_field(object_name, standard.record_type_field())
    fields = {"Name": label, "DeveloperName": name, "SobjectType": object_name, "IsActive": active}
    _apply_row(org, "RecordType", fields, ("DeveloperName", "SobjectType"))


def _apply_permission_set(org: Org, permission_set: PermissionSet) -> None:
    org.add_permission_set(permission_set)
    setup.keep_current(org)
    _apply_row(org, "PermissionSet", {"Name": permission_set.name, "Label": permission_set.label}, ("Name",))


def _apply_row(org: Org, object_name: str, fields: dict[str, Any], keys: tuple[str, ...]) -> None:
    """Write a set-up row that queries can find; the row of the same keys is updated."""
    rows = org.rows(object_name).values()
    known = next((row["Id"] for row in rows if all(row.get(key) == fields[key] for key in keys)), "")
    operation, more = ("update", {"Id": known}) if known else ("insert", {})
    result = org.write(org.system, object_name, operation, {**fields, **more})
    assert result.success, result.errors
