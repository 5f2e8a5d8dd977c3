"""Fields from metadata: what each type must and must not say, and what the org knows of it then.

Texts are those of the platform where they are known; where only the rule is
known [inferred], the text names field and rule. Fact sheet sections 8.1 and 8.2;
https://developer.salesforce.com/docs/atlas.en-us.api_meta.meta/api_meta/customfield.htm
"""

from __future__ import annotations

import re
from collections.abc import Callable

from tillbridge.simulators.salesforce.deploy_view import Success, View
from tillbridge.simulators.salesforce.deploy_xml import Node
from tillbridge.simulators.salesforce.deploy_zip import Bundle, Component
from tillbridge.simulators.salesforce.schema import Field, SObject

# metadata type -> describe's word
TYPES = {
    "Text": "string",
    "AutoNumber": "string",
    "TextArea": "textarea",
    "LongTextArea": "textarea",
    "Html": "textarea",
    "EncryptedText": "encryptedstring",
    "Number": "double",
    "Currency": "currency",
    "Percent": "percent",
    "Checkbox": "boolean",
    "Date": "date",
    "DateTime": "datetime",
    "Email": "email",
    "Phone": "phone",
    "Url": "url",
    "Picklist": "picklist",
    "MultiselectPicklist": "multipicklist",
    "Lookup": "reference",
    "MasterDetail": "reference",
    "Summary": "double",
}
LABEL_CHARS_MAX = 40
NAME_CHARS_MAX = 40
DESCRIPTION_CHARS_MAX = 1_000
HELP_CHARS_MAX = 510
NAME = re.compile(r"[A-Za-z](?:_?[A-Za-z0-9])*")
NUMBERS = {"Number", "Currency", "Percent"}
RELATIONS = {"Lookup", "MasterDetail"}
EXTERNAL_ID_TYPES = {"Text", "Number", "Email", "AutoNumber"}
UNIQUE_TYPES = {"Text", "Number", "Email"}
FORMULA_TYPES = {"Text", "Number", "Currency", "Percent", "Checkbox", "Date", "DateTime"}
REQUIRABLE = set(TYPES) - {
    "MasterDetail",
    "Checkbox",
    "AutoNumber",
    "Summary",
    "LongTextArea",
    "Html",
    "MultiselectPicklist",
}
LENGTHS = {
    "Text": 255,
    "TextArea": 255,
    "Email": 80,
    "Phone": 40,
    "Url": 255,
    "Picklist": 255,
    "AutoNumber": 30,
}
# Types that the platform turns into one another without a data migration.
_TEXTUAL = {"string", "textarea", "email", "phone", "url", "picklist"}
_NUMERIC = {"double", "currency", "percent"}
# Nothing can be a detail of these [inferred].
NOT_MASTERS = {"User", "Lead", "Task", "Group", "Profile", "RecordType", "Organization"}


def is_relation(node: Node) -> bool:
    """Say whether a field points at another object."""
    return node.get("type") in RELATIONS


def is_formula(node: Node) -> bool:
    """Say whether a field is computed from others of its row."""
    return node.one("formula") is not None


def is_summary(node: Node) -> bool:
    """Say whether a field sums up detail rows."""
    return node.get("type") == "Summary"


def is_plain(node: Node) -> bool:
    """Say whether a field leans on nothing else."""
    return not (is_relation(node) or is_formula(node) or is_summary(node))


def deploy_field(view: View, bundle: Bundle, component: Component, node: Node) -> None:
    """Check one field and lay it over the view."""
    name, full_name = node.get("fullName"), f"{component.name}.{node.get('fullName')}"
    if not (bundle.named("CustomObject", component.name) or bundle.named("CustomField", full_name)):
        return  # "Not in package.xml": said already.
    draft = view.drafts[component.name]
    known = draft.find(name)
    if known is not None and not known.custom:
        # A standard field may only be tuned (history, label), which changes no rule here.
        view.successes.append(Success("CustomField", full_name, component.file, created=False, changed=False))
        return
    before = len(view.problems)

    def wrong(text: str, at: Node | None = None) -> None:
        view.fail(component, text, kind="CustomField", name=full_name, at=at or node)

    _check_field(view, component, node, wrong)
    if len(view.problems) > before:
        return
    made = _field(view, draft, node)
    _check_change(view, draft, known, made, wrong)
    if len(view.problems) > before:
        return
    draft.fields[made.name] = made
    if made.master_detail and draft.owned:
        draft.owned = False
        draft.fields.pop("OwnerId", None)
    view.new_fields.setdefault(draft.name, []).append(made.name)
    view.successes.append(Success("CustomField", full_name, component.file, known is None, known != made))
    if made.formula or made.summary:
        view.warn(
            component, "The value is not computed here: it reads null", kind="CustomField", name=full_name
        )


def _check_field(view: View, component: Component, node: Node, wrong: Callable[..., None]) -> None:
    kind, name = node.get("type"), node.get("fullName")
    formula = node.one("formula") is not None
    if not name.endswith("__c") or not well_named(name):
        wrong(
            f"The field name {name} is not valid: letters, digits, single underscores, at most 40, then __c"
        )
    if kind not in TYPES:
        wrong(f"'{kind}' is not a valid value for the enum 'FieldType'", node.one("type"))
        return
    if not node.get("label"):
        wrong(f"Must specify a non-empty label for the CustomField {name}")
    full_name = f"{component.name}.{name}"
    for tag, top in (
        ("label", LABEL_CHARS_MAX),
        ("description", DESCRIPTION_CHARS_MAX),
        ("inlineHelpText", HELP_CHARS_MAX),
    ):
        check_length(view, component, node, tag, top, "CustomField", full_name)
    _check_flags(node, kind, wrong, formula=formula)
    if formula:
        _check_formula(view, component, node, kind, wrong)
    else:
        _check_sizes(node, kind, wrong)
    if kind in {"Picklist", "MultiselectPicklist"}:
        _check_picklist(view, node, wrong)
    elif kind in RELATIONS:
        _check_relation(view, component, node, kind, wrong)
    elif kind == "Summary":
        _check_summary(view, component, node, wrong)


def _check_flags(node: Node, kind: str, wrong: Callable[..., None], *, formula: bool) -> None:
    rules = {
        "externalId": not formula and kind in EXTERNAL_ID_TYPES,
        "unique": not formula and kind in UNIQUE_TYPES,
        "required": not formula and kind in REQUIRABLE,
        "caseSensitive": not formula and kind == "Text" and node.flag("unique"),
        "reparentableMasterDetail": kind == "MasterDetail",
        "writeRequiresMasterRead": kind == "MasterDetail",
    }
    for tag, allowed in rules.items():
        if node.flag(tag) and not allowed:
            wrong(f"Can not specify '{tag}' for a CustomField of type {kind}", node.one(tag))


def _check_sizes(node: Node, kind: str, wrong: Callable[..., None]) -> None:
    if kind in NUMBERS:
        precision, scale = _number(node, "precision"), _number(node, "scale")
        for tag, value in (("precision", precision), ("scale", scale)):
            if value is None:
                wrong(f"Must specify '{tag}' for a CustomField of type {kind}")
        if precision is not None and scale is not None and not 0 <= scale <= precision <= 18:
            wrong(
                f"precision must be at most 18 and scale at most precision: ({precision}, {scale})",
                node.one("precision"),
            )
    elif kind in {"Text", "EncryptedText"}:
        _check_range(node, kind, "length", 1, 255, wrong)
    elif kind in {"LongTextArea", "Html"}:
        _check_range(node, kind, "length", 256, 131_072, wrong)
        _check_range(node, kind, "visibleLines", 2, 50, wrong)
    elif kind == "MultiselectPicklist":
        _check_range(node, kind, "visibleLines", 3, 10, wrong)
    elif kind == "Checkbox" and node.get("defaultValue") not in {"true", "false"}:
        wrong("Must specify either 'defaultValue' or 'formula' for a CustomField of type Checkbox")
    elif kind == "AutoNumber" and not display_format(node):
        wrong("Must specify 'displayFormat' with a number for a CustomField of type AutoNumber")
    if node.one("length") is not None and kind not in {"Text", "EncryptedText", "LongTextArea", "Html"}:
        wrong(f"Can not specify 'length' for a CustomField of type {kind}", node.one("length"))


def _check_range(node: Node, kind: str, tag: str, low: int, high: int, wrong: Callable[..., None]) -> None:
    value = _number(node, tag)
    if value is None:
        wrong(f"Must specify '{tag}' for a CustomField of type {kind}")
    elif not low <= value <= high:
        wrong(
            f"{tag} of a CustomField of type {kind} must be between {low} and {high}: {value}", node.one(tag)
        )


def _check_picklist(view: View, node: Node, wrong: Callable[..., None]) -> None:
    value_set = node.one("valueSet")
    if value_set is None:
        wrong("Must specify a 'valueSet' for a CustomField of type Picklist")
        return
    if shared := value_set.get("valueSetName"):
        if not view.has("GlobalValueSet", shared):
            wrong(f"In field: valueSetName - no GlobalValueSet named {shared} found", value_set)
        return
    values = _values(value_set)
    if not values and value_set.flag("restricted"):
        wrong("A restricted picklist must have at least one value", value_set)
    folded = [v.lower() for v in values]
    for value in sorted({v for v in values if folded.count(v.lower()) > 1}):
        wrong(f"duplicate value found: {value} occurs twice in the value set", value_set)


def _check_relation(
    view: View, component: Component, node: Node, kind: str, wrong: Callable[..., None]
) -> None:
    target = view.find(node.get("referenceTo"))
    if target is None:
        text = f"referenceTo value of '{node.get('referenceTo')}' does not resolve to a valid sObject type"
        wrong(text, node.one("referenceTo"))
        return
    children = node.get("relationshipName")
    if not children:
        wrong(f"Must specify 'relationshipName' for a CustomField of type {kind}")
    elif not NAME.fullmatch(children):
        wrong(f"The relationshipName {children} is not valid", node.one("relationshipName"))
    twin = _child_relation(view, target.name, children)
    if children and twin not in {None, (component.name, node.get("fullName"))}:
        wrong(
            f"There is already a Child Relationship named {children} on {target.label}.",
            node.one("relationshipName"),
        )
    constraint = node.get("deleteConstraint", "SetNull")
    if kind == "Lookup" and constraint not in {"SetNull", "Restrict", "Cascade"}:
        wrong(
            f"'{constraint}' is not a valid value for the enum 'DeleteConstraint'",
            node.one("deleteConstraint"),
        )
    if kind == "Lookup" and node.flag("required") and constraint == "SetNull":
        wrong("A required Lookup must specify deleteConstraint Restrict or Cascade", node.one("required"))
    if kind == "MasterDetail":
        _check_master(view, component, node, target, wrong)


def _check_master(
    view: View, component: Component, node: Node, target: SObject, wrong: Callable[..., None]
) -> None:
    if not component.name.endswith("__c"):
        wrong(f"A standard object cannot be the detail of a MasterDetail relationship: {component.name}")
    if target.name in NOT_MASTERS:
        wrong(f"{target.name} cannot be the master of a MasterDetail relationship", node.one("referenceTo"))
    live = view.org.find(component.name)
    known = live.find(node.get("fullName")) if live is not None else None
    if live is not None and (known is None or not known.master_detail) and view.org.rows(live.name):
        wrong(f"Cannot create a MasterDetail relationship on {live.name}: it already has records")


def _child_relation(view: View, parent: str, name: str) -> tuple[str, str] | None:
    for sobject in {**view.org.schema, **view.drafts}.values():
        for field in sobject.fields.values():
            if parent in field.reference_to and name and field.child_relationship.removesuffix("__r") == name:
                return sobject.name, field.name
    return None


def _check_formula(
    view: View, component: Component, node: Node, kind: str, wrong: Callable[..., None]
) -> None:
    if kind not in FORMULA_TYPES:
        wrong(f"Can not specify 'formula' for a CustomField of type {kind}", node.one("formula"))
    if not node.get("formula"):
        wrong("The formula is empty", node.one("formula"))
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', '""', node.get("formula"))
    own = {f.get("fullName") for f in component.node.all("fields")}
    for path in re.findall(r"[A-Za-z]\w*(?:\.\w+)*", bare):
        if path.endswith("__c") and path not in own and _resolve(view, component.name, path) is None:
            wrong(f"Field {path} does not exist. Check spelling.", node.one("formula"))


def _resolve(view: View, object_name: str, path: str) -> Field | None:
    *relations, last = path.split(".")
    for relation in relations:
        sobject = view.find(object_name)
        found = (
            next((f for f in sobject.fields.values() if f.relationship == relation), None)
            if sobject
            else None
        )
        if found is None:
            return None
        object_name = found.reference_to[0]
    return view.field(object_name, last)


def _check_summary(view: View, component: Component, node: Node, wrong: Callable[..., None]) -> None:
    child, _, key = node.get("summaryForeignKey").partition(".")
    link = view.field(child, key)
    if link is None or not link.master_detail or component.name not in link.reference_to:
        wrong(
            f"In field: summaryForeignKey - no MasterDetail field named {child}.{key} found",
            node.one("summaryForeignKey"),
        )
        return
    operation = node.get("summaryOperation")
    if operation not in {"count", "sum", "min", "max"}:
        wrong(
            f"'{operation}' is not a valid value for the enum 'SummaryOperations'",
            node.one("summaryOperation"),
        )
    named = node.get("summarizedField").rpartition(".")[2]
    summed = view.field(child, named) if named else None
    if operation != "count" and summed is None:
        wrong(
            f"In field: summarizedField - no CustomField named {child}.{named} found",
            node.one("summarizedField"),
        )
    elif operation == "sum" and summed is not None and summed.type not in _NUMERIC | {"int"}:
        wrong(
            f"The field {child}.{named} of type {summed.type} cannot be summed", node.one("summarizedField")
        )
    for item in node.all("summaryFilterItems"):
        field = item.get("field").rpartition(".")[2]
        if view.field(child, field) is None:
            wrong(f"In field: field - no CustomField named {child}.{field} found", item)


def _check_change(
    view: View, draft: SObject, known: Field | None, made: Field, wrong: Callable[..., None]
) -> None:
    if known is None:
        return
    same_family = any({known.type, made.type} <= family for family in (_TEXTUAL, _NUMERIC))
    if known.type != made.type and not same_family:
        wrong(f"Cannot change the type of {draft.name}.{known.name} from {known.type} to {made.type}")
    if known.calculated != made.calculated:
        wrong(f"Cannot change {draft.name}.{known.name} between a formula and a stored field")
    if known.type == made.type == "reference" and known.reference_to != made.reference_to:
        wrong(f"Cannot update referenceTo of {draft.name}.{known.name}")
    if made.unique and not known.unique and draft.name in view.org.schema:
        values = [
            row[known.name] for row in view.org.rows(draft.name).values() if row.get(known.name) is not None
        ]
        folded = values if made.case_sensitive else [v.lower() if isinstance(v, str) else v for v in values]
        if len(set(folded)) < len(folded):
            wrong(f"Cannot make {draft.name}.{known.name} unique: duplicate values exist")


def _field(view: View, draft: SObject, node: Node) -> Field:
    kind, name = node.get("type"), node.get("fullName")
    formula = node.get("formula")
    field = Field(
        name, TYPES[kind], node.get("label"), custom=True, formula=formula, calculated=bool(formula)
    )
    field.length = _number(node, "length") or LENGTHS.get(kind, 0)
    field.precision, field.scale = _number(node, "precision") or 0, _number(node, "scale") or 0
    field.required, field.unique = node.flag("required"), node.flag("unique")
    field.external_id, field.case_sensitive = node.flag("externalId"), node.flag("caseSensitive")
    field.description, field.help_text = node.get("description"), node.get("inlineHelpText")
    if kind == "Email":
        field.id_lookup = field.external_id
    if kind == "Checkbox" and not formula:
        field.default, field.defaulted = node.flag("defaultValue"), True
    elif kind == "AutoNumber":
        field.auto_number, field.defaulted = True, True
    elif kind in {"Picklist", "MultiselectPicklist"}:
        _fill_picklist(view, field, node)
    elif kind in RELATIONS:
        _fill_relation(view, field, node, kind)
    elif kind == "Summary":
        _fill_summary(view, draft, field, node)
    if formula or kind in {"AutoNumber", "Summary"}:
        field.createable = field.updateable = False
    # Required and master-detail fields carry no field-level security of their own.
    field.always_visible = field.required or field.master_detail
    return field


def _fill_picklist(view: View, field: Field, node: Node) -> None:
    value_set = node.one("valueSet")
    assert value_set is not None  # Checked before.
    field.restricted = value_set.flag("restricted")
    if shared := value_set.get("valueSetName"):
        field.value_set = shared
        held = view.kept.get("GlobalValueSet", {}).get(shared) or view.stored["GlobalValueSet"][shared]
        field.values = [v.get("fullName") for v in held.node.all("customValue")]
        return
    field.values = _values(value_set)
    definition = value_set.one("valueSetDefinition")
    defaults = [v.get("fullName") for v in definition.all("value") if v.flag("default")] if definition else []
    if defaults:
        field.default, field.defaulted = defaults[0], True


def _fill_relation(view: View, field: Field, node: Node, kind: str) -> None:
    target = view.find(node.get("referenceTo"))
    assert target is not None  # Checked before.
    field.length = 18
    field.reference_to = [target.name]
    field.relationship = field.name[: -len("__c")] + "__r"
    field.child_relationship = node.get("relationshipName") + "__r"
    field.delete_constraint = node.get("deleteConstraint", "SetNull")
    if kind == "MasterDetail":
        field.master_detail, field.required, field.delete_constraint = True, True, "Cascade"
        field.reparentable = node.flag("reparentableMasterDetail")


def _fill_summary(view: View, draft: SObject, field: Field, node: Node) -> None:
    child, _, key = node.get("summaryForeignKey").partition(".")
    operation = node.get("summaryOperation")
    named = node.get("summarizedField").rpartition(".")[2]
    summed = view.field(child, named) if named else None
    if summed is not None:
        field.type, field.precision, field.scale = summed.type, summed.precision, summed.scale
    else:
        field.precision, field.scale = 18, 0
    field.calculated = True
    filters = [
        {"field": i.get("field").rpartition(".")[2], "operation": i.get("operation"), "value": i.get("value")}
        for i in node.all("summaryFilterItems")
    ]
    field.summary = {
        "child": child,
        "key": key,
        "operation": operation,
        "field": named,
        "filters": filters,
        "object": draft.name,
    }


def _values(value_set: Node) -> list[str]:
    definition = value_set.one("valueSetDefinition")
    return [v.get("fullName") for v in definition.all("value")] if definition is not None else []


def _number(node: Node, tag: str) -> int | None:
    text = node.get(tag)
    return int(text) if re.fullmatch(r"-?\d+", text) else None


def well_named(name: str) -> bool:
    """Say whether an API name is one."""
    bare = name.removesuffix("__c")
    return NAME.fullmatch(bare) is not None and len(bare) <= NAME_CHARS_MAX


def check_length(
    view: View, component: Component, node: Node, tag: str, top: int, kind: str, name: str
) -> None:
    """Refuse a text that is too long for its place."""
    if len(node.get(tag)) > top:
        text = f"Value too long for field: {'MasterLabel' if tag == 'label' else tag} maximum length is:{top}"
        view.fail(component, text, kind=kind, name=name, at=node.one(tag))


def display_format(node: Node) -> bool:
    """Say whether a number format holds a number."""
    return re.search(r"\{0+\}", node.get("displayFormat")) is not None
