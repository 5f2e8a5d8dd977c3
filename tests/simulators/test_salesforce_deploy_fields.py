"""What each type of field must and must not say, and what the org knows of it then (fact sheet §8.2)."""

import pytest
from salesforce_doors import meta, new_org, package, zipped

from tillbridge.simulators.salesforce import deploy

OBJECT = """
<label>{name}</label><pluralLabel>{name}s</pluralLabel><sharingModel>{sharing}</sharingModel>
<deploymentStatus>Deployed</deploymentStatus><nameField><label>Name</label><type>Text</type></nameField>
"""


def tags(**values):
    return "".join(f"<{name}>{value}</{name}>" for name, value in values.items())


def field(name="Thing__c", **values):
    return f"<fields>{tags(fullName=name, **({'label': 'Thing'} | values))}</fields>"


def custom(name, inside="", sharing="ReadWrite"):
    return OBJECT.format(name=name.removesuffix("__c"), sharing=sharing) + inside


def problems(org, **objects):
    """Deploy objects, given by name, and return what is wrong as (name, text)."""
    files = {f"objects/{name}.object": meta("CustomObject", inside) for name, inside in objects.items()}
    content = zipped({"package.xml": package(CustomObject=list(objects)), **files})
    return [(problem.name, problem.text) for problem in deploy.install(org, content)]


def picklist(*values, restricted="true"):
    inside = "".join(f"<value>{tags(fullName=v, default='false', label=v)}</value>" for v in values)
    definition = f"<valueSetDefinition><sorted>false</sorted>{inside}</valueSetDefinition>"
    return f"<restricted>{restricted}</restricted>{definition}"


# --- what is made ---


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param({"type": "Text", "length": 40}, {"type": "string", "length": 40}, id="Text"),
        pytest.param(
            {"type": "Text", "length": 40, "externalId": "true", "unique": "true", "caseSensitive": "true"},
            {"external_id": True, "unique": True, "case_sensitive": True},
            id="Text as a key",
        ),
        pytest.param(
            {"type": "Number", "precision": 12, "scale": 3},
            {"type": "double", "precision": 12, "scale": 3},
            id="Number",
        ),
        pytest.param(
            {"type": "Currency", "precision": 18, "scale": 2}, {"type": "currency", "scale": 2}, id="Currency"
        ),
        pytest.param({"type": "Percent", "precision": 5, "scale": 2}, {"type": "percent"}, id="Percent"),
        pytest.param(
            {"type": "Checkbox", "defaultValue": "true"},
            {"type": "boolean", "default": True, "defaulted": True},
            id="Checkbox",
        ),
        pytest.param({"type": "Date"}, {"type": "date"}, id="Date"),
        pytest.param({"type": "DateTime"}, {"type": "datetime"}, id="DateTime"),
        pytest.param({"type": "Email"}, {"type": "email", "length": 80}, id="Email"),
        pytest.param({"type": "Phone"}, {"type": "phone", "length": 40}, id="Phone"),
        pytest.param({"type": "Url"}, {"type": "url", "length": 255}, id="Url"),
        pytest.param({"type": "TextArea"}, {"type": "textarea", "length": 255}, id="TextArea"),
        pytest.param(
            {"type": "LongTextArea", "length": 32768, "visibleLines": 5},
            {"type": "textarea", "length": 32768},
            id="LongTextArea",
        ),
        pytest.param(
            {"type": "Picklist", "valueSet": picklist("Completed", "Voided")},
            {"type": "picklist", "restricted": True, "values": ["Completed", "Voided"]},
            id="restricted Picklist",
        ),
        pytest.param(
            {
                "type": "Lookup",
                "referenceTo": "Account",
                "relationshipName": "Things",
                "deleteConstraint": "Restrict",
            },
            {
                "type": "reference",
                "reference_to": ["Account"],
                "relationship": "Thing__r",
                "child_relationship": "Things__r",
                "delete_constraint": "Restrict",
                "master_detail": False,
            },
            id="Lookup",
        ),
        pytest.param(
            {"type": "Number", "precision": 18, "scale": 2, "formula": "1 + 1"},
            {"type": "double", "calculated": True, "createable": False, "updateable": False},
            id="Formula",
        ),
        pytest.param(
            {"type": "Text", "length": 40, "required": "true", "description": "Why", "inlineHelpText": "How"},
            {"required": True, "always_visible": True, "description": "Why", "help_text": "How"},
            id="required, with its texts",
        ),
    ],
)
def test_a_field_becomes(values, expected):
    org = new_org()
    assert [] == problems(org, Shop__c=custom("Shop__c", field(**values)))
    made = org.find("Shop__c").find("Thing__c")
    assert expected == {name: getattr(made, name) for name in expected}


def test_a_master_detail_makes_a_detail():
    org = new_org()
    master = field(
        "Sale__c",
        type="MasterDetail",
        referenceTo="Sale__c",
        relationshipName="Lines",
        reparentableMasterDetail="true",
    )
    line = custom("Line__c", master, sharing="ControlledByParent")
    assert [] == problems(org, Line__c=line, Sale__c=custom("Sale__c"))
    made = org.find("Line__c").find("Sale__c")
    assert (True, True, True, "Cascade") == (
        made.master_detail,
        made.required,
        made.reparentable,
        made.delete_constraint,
    )
    assert org.find("Line__c").find("OwnerId") is None
    assert "ControlledByParent" == org.find("Line__c").sharing


def test_a_roll_up_knows_what_it_sums():
    org = new_org()
    master = field("Sale__c", type="MasterDetail", referenceTo="Sale__c", relationshipName="Lines")
    amount = field("Amount__c", type="Currency", precision=18, scale=2)
    total = field(
        "Sum__c",
        type="Summary",
        summaryForeignKey="Line__c.Sale__c",
        summaryOperation="sum",
        summarizedField="Line__c.Amount__c",
    )
    line = custom("Line__c", master + amount, sharing="ControlledByParent")
    assert [] == problems(org, Line__c=line, Sale__c=custom("Sale__c", total))
    made = org.find("Sale__c").find("Sum__c")
    assert ("currency", 2, True) == (made.type, made.scale, made.calculated)
    assert ("Line__c", "Sale__c", "sum", "Amount__c") == tuple(
        made.summary[k] for k in ("child", "key", "operation", "field")
    )


def test_fields_are_added_to_standard_objects_and_invisible_without_a_permission_set():
    org = new_org()
    user = org.add_user("sync@shop.example", "Sync User")
    assert [] == problems(
        org, Contact=field("Key__c", type="Text", length=40, externalId="true", unique="true")
    )
    assert "Key__c" in org.find("Contact").fields
    assert "Key__c" not in org.visible_fields(user, org.find("Contact"))


# --- what is refused ---

LONG = "x" * 41
MASTER_FIELD = "MasterDetail relationship field"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param(
            {"type": "Text"}, "Must specify 'length' for a CustomField of type Text", id="Text without length"
        ),
        pytest.param(
            {"type": "Text", "length": 300},
            "length of a CustomField of type Text must be between 1 and 255: 300",
            id="Text too long",
        ),
        pytest.param(
            {"type": "Number", "scale": 0},
            "Must specify 'precision' for a CustomField of type Number",
            id="Number without precision",
        ),
        pytest.param(
            {"type": "Currency", "precision": 19, "scale": 2},
            "precision must be at most 18 and scale at most precision: (19, 2)",
            id="nineteen digits",
        ),
        pytest.param(
            {"type": "Checkbox"},
            "Must specify either 'defaultValue' or 'formula' for a CustomField of type Checkbox",
            id="Checkbox without default",
        ),
        pytest.param(
            {"type": "LongTextArea", "length": 32768},
            "Must specify 'visibleLines' for a CustomField of type LongTextArea",
            id="LongTextArea without lines",
        ),
        pytest.param(
            {"type": "TextArea", "length": 255},
            "Can not specify 'length' for a CustomField of type TextArea",
            id="TextArea with length",
        ),
        pytest.param(
            {"type": "Date", "externalId": "true"},
            "Can not specify 'externalId' for a CustomField of type Date",
            id="external id of a wrong type",
        ),
        pytest.param(
            {"type": "Phone", "unique": "true"},
            "Can not specify 'unique' for a CustomField of type Phone",
            id="unique of a wrong type",
        ),
        pytest.param(
            {"type": "Text", "length": 9, "caseSensitive": "true"},
            "Can not specify 'caseSensitive' for a CustomField of type Text",
            id="case without uniqueness",
        ),
        pytest.param(
            {"type": "Text", "length": 9, "label": LONG},
            "Value too long for field: MasterLabel maximum length is:40",
            id="label of 41",
        ),
        pytest.param(
            {"type": "Text", "length": 9, "inlineHelpText": "x" * 511},
            "Value too long for field: inlineHelpText maximum length is:510",
            id="help text of 511",
        ),
        pytest.param(
            {"type": "Picklist"},
            "Must specify a 'valueSet' for a CustomField of type Picklist",
            id="no value set",
        ),
        pytest.param(
            {"type": "Picklist", "valueSet": picklist()},
            "A restricted picklist must have at least one value",
            id="restricted to nothing",
        ),
        pytest.param(
            {"type": "Money"}, "'Money' is not a valid value for the enum 'FieldType'", id="unknown type"
        ),
        pytest.param(
            {"type": "Lookup", "referenceTo": "Nothing__c", "relationshipName": "Things"},
            "referenceTo value of 'Nothing__c' does not resolve to a valid sObject type",
            id="lookup into the void",
        ),
        pytest.param(
            {"type": "Lookup", "referenceTo": "Account", "relationshipName": "Things", "required": "true"},
            "A required Lookup must specify deleteConstraint Restrict or Cascade",
            id="required lookup that would be emptied",
        ),
        pytest.param(
            {"type": "Lookup", "referenceTo": "Account", "relationshipName": "Contacts"},
            "There is already a Child Relationship named Contacts on Account.",
            id="child relationship taken",
        ),
        pytest.param(
            {"type": "Text", "length": 9, "formula": "Foo__c"},
            "Can not specify 'required' for a CustomField of type Text",
            id="formula and required",
        ),
        pytest.param(
            {"type": "Text", "formula": "Foo__c"},
            "Field Foo__c does not exist. Check spelling.",
            id="formula over nothing",
        ),
    ],
)
def test_field_refusals(values, expected):
    org = new_org()
    if expected.startswith("Can not specify 'required'"):
        values = values | {"required": "true"}
    assert ("Shop__c.Thing__c", expected) in problems(org, Shop__c=custom("Shop__c", field(**values)))
    assert org.find("Shop__c") is None


def test_a_bad_field_name_is_refused():
    found = problems(new_org(), Shop__c=custom("Shop__c", field("Two__Parts__c", type="Date")))
    assert ["Shop__c.Two__Parts__c"] == [name for name, _ in found]


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        pytest.param(
            custom("Shop__c").replace("<label>Shop</label>", ""),
            "Must specify a non-empty label for the CustomObject",
            id="label",
        ),
        pytest.param(
            custom("Shop__c").replace("<pluralLabel>Shops</pluralLabel>", ""),
            "Must specify a non-empty pluralLabel for the CustomObject",
            id="plural label",
        ),
        pytest.param(
            custom("Shop__c").replace("<type>Text</type>", "<type>Date</type>"),
            "Must specify a nameField of type Text or AutoNumber",
            id="name field",
        ),
        pytest.param(
            custom("Shop__c", sharing="Secret"),
            "Must specify a sharingModel for the CustomObject",
            id="sharing model",
        ),
        pytest.param(
            custom("Shop__c", sharing="ControlledByParent"),
            f"Cannot set sharingModel to ControlledByParent on a CustomObject without a {MASTER_FIELD}",
            id="a parent to control it",
        ),
        pytest.param(
            custom("Shop__c", "<enableBulkApi>true</enableBulkApi>"),
            "enableBulkApi, enableSharing and enableStreamingApi must all have the same value",
            id="the three switches",
        ),
        pytest.param(
            custom(
                "Shop__c",
                field("Account__c", type="MasterDetail", referenceTo="Account", relationshipName="Shops"),
            ),
            f"Cannot set sharingModel to ReadWrite on a CustomObject with a {MASTER_FIELD}",
            id="a detail with a sharing of its own",
        ),
    ],
)
def test_an_object_needs(inside, expected):
    assert ("Shop__c", expected) in problems(new_org(), Shop__c=inside)


def test_a_master_detail_cannot_be_added_where_rows_are():
    org = new_org()
    problems(org, Sale__c=custom("Sale__c"), Line__c=custom("Line__c"))
    assert org.write(org.system, "Line__c", "insert", {"Name": "first"}).success
    master = field("Sale__c", type="MasterDetail", referenceTo="Sale__c", relationshipName="Lines")
    found = problems(org, Line__c=custom("Line__c", master, sharing="ControlledByParent"))
    assert (
        "Line__c.Sale__c",
        "Cannot create a MasterDetail relationship on Line__c: it already has records",
    ) in found


def test_a_field_can_grow_but_not_turn_into_something_else():
    org = new_org()
    problems(org, Shop__c=custom("Shop__c", field(type="Text", length=40)))
    assert [] == problems(org, Shop__c=custom("Shop__c", field(type="Text", length=80)))
    assert 80 == org.find("Shop__c").find("Thing__c").length
    found = problems(org, Shop__c=custom("Shop__c", field(type="Date")))
    assert [("Shop__c.Thing__c", "Cannot change the type of Shop__c.Thing__c from string to date")] == found


def test_a_unique_field_cannot_be_made_over_duplicates():
    org = new_org()
    problems(org, Shop__c=custom("Shop__c", field(type="Text", length=40)))
    for value in ("abc", "ABC"):
        assert org.write(org.system, "Shop__c", "insert", {"Thing__c": value}).success
    text = "Cannot make Shop__c.Thing__c unique: duplicate values exist"
    assert [("Shop__c.Thing__c", text)] == problems(
        org, Shop__c=custom("Shop__c", field(type="Text", length=40, unique="true"))
    )
    exact = field(type="Text", length=40, unique="true", caseSensitive="true")
    assert [] == problems(org, Shop__c=custom("Shop__c", exact))


def test_two_objects_may_look_at_each_other():
    org = new_org()
    there = field("Line__c", type="Lookup", referenceTo="Line__c", relationshipName="Sales")
    back = field("Sale__c", type="Lookup", referenceTo="Sale__c", relationshipName="Lines")
    assert [] == problems(org, Sale__c=custom("Sale__c", there), Line__c=custom("Line__c", back))


def test_a_third_master_is_one_too_many():
    masters = "".join(
        field(f"M{i}__c", type="MasterDetail", referenceTo="Account", relationshipName=f"M{i}s")
        for i in range(3)
    )
    found = problems(new_org(), Shop__c=custom("Shop__c", masters, sharing="ControlledByParent"))
    assert [("Shop__c", "Maximum number of master-detail relationships on Shop__c exceeded: 3 of 2")] == found


def test_a_key_made_case_sensitive_later_tells_cases_apart():
    org = new_org()
    problems(org, Shop__c=custom("Shop__c", field(type="Text", length=40, unique="true")))
    exact = field(type="Text", length=40, unique="true", caseSensitive="true")
    problems(org, Shop__c=custom("Shop__c", exact))
    results = [
        org.write(org.system, "Shop__c", "insert", {"Thing__c": value}) for value in ("abc", "ABC", "abc")
    ]
    assert [True, True, False] == [result.success for result in results]
