"""Permission sets and pages: what they may speak of, and what they grant (fact sheet §8.2 and §8.3)."""

import pytest
from salesforce_doors import meta, new_org, package, zipped

from tillbridge.simulators.salesforce import deploy

SHELL = """
<label>{0}</label><pluralLabel>{0}s</pluralLabel><sharingModel>{1}</sharingModel>
<deploymentStatus>Deployed</deploymentStatus><nameField><label>Name</label><type>Text</type></nameField>
"""
MASTER = """
<fields><fullName>Sale__c</fullName><label>Sale</label><type>MasterDetail</type><referenceTo>Sale__c</referenceTo>
<relationshipName>Lines</relationshipName></fields>
<fields><fullName>Amount__c</fullName><label>Amount</label><type>Currency</type><precision>18</precision><scale>2</scale></fields>
"""
SALE = """
<fields><fullName>Total__c</fullName><label>Total</label><type>Currency</type><precision>18</precision><scale>2</scale></fields>
<fields><fullName>Code__c</fullName><label>Code</label><type>Text</type><length>9</length><required>true</required></fields>
<fields><fullName>Account__c</fullName><label>Account</label><type>Lookup</type><referenceTo>Account</referenceTo>
<relationshipName>Sales</relationshipName></fields>
<fields><fullName>Twice__c</fullName><label>Twice</label><type>Number</type><precision>18</precision><scale>2</scale>
<formula>Total__c * 2</formula></fields>
"""


@pytest.fixture
def org():
    made = new_org()
    made.add_user("sync@shop.example", "Sync User", all_standard=False)
    objects = {
        "objects/Sale__c.object": meta("CustomObject", SHELL.format("Sale", "Private") + SALE),
        "objects/Line__c.object": meta("CustomObject", SHELL.format("Line", "ControlledByParent") + MASTER),
    }
    content = zipped({"package.xml": package(CustomObject=["*"]), **objects})
    assert [] == deploy.install(made, content)
    return made


def install(org, **parts):
    """Deploy files, given as type=(path, name, inside), and return the texts of what is wrong."""
    members, files = {}, {}
    for kind, (path, name, inside) in parts.items():
        members.setdefault(kind.split("_")[0], []).append(name)
        root = "ReportFolder" if path.endswith("-meta.xml") else kind.split("_")[0]
        files[path] = meta(root, inside)
    return [p.text for p in deploy.install(org, zipped({"package.xml": package(**members), **files}))]


def grant(org, inside):
    label = "" if "<label>" in inside else "<label>Integration</label>"
    return install(org, PermissionSet=("permissionsets/Sync.permissionset", "Sync", label + inside))


def rights(name, *tags):
    given = "".join(f"<{tag}>true</{tag}>" for tag in tags)
    return f"<objectPermissions><object>{name}</object>{given}</objectPermissions>"


def security(name, *, editable="true", readable="true"):
    return (
        f"<fieldPermissions><editable>{editable}</editable><field>{name}</field>"
        f"<readable>{readable}</readable></fieldPermissions>"
    )


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        pytest.param(
            security("Sale__c.Code__c"),
            "You cannot deploy to a required field: Sale__c.Code__c",
            id="a required field",
        ),
        pytest.param(
            security("Line__c.Sale__c"),
            "You cannot deploy to a required field: Line__c.Sale__c",
            id="a master-detail field",
        ),
        pytest.param(
            security("Account.Name"),
            "You cannot deploy to a required field: Account.Name",
            id="a required standard field",
        ),
        pytest.param(
            security("Sale__c.Gone__c"),
            "In field: field - no CustomField named Sale__c.Gone__c found",
            id="a field that is not there",
        ),
        pytest.param(
            security("Sale__c.Total__c", readable="false"),
            "Field Sale__c.Total__c cannot be editable without being readable",
            id="editable but not readable",
        ),
        pytest.param(
            rights("Gone__c", "allowRead"),
            "In field: field - no CustomObject named Gone__c found",
            id="an object that is not there",
        ),
        pytest.param(
            rights("Sale__c", "allowRead", "allowDelete"),
            "Permission Delete Sale__c depends on permission(s): Edit Sale__c",
            id="delete without edit",
        ),
        pytest.param(
            rights("Line__c", "allowRead"),
            "Permission Read Line__c depends on permission(s): Read Sale__c",
            id="a detail without its master",
        ),
        pytest.param(
            "<customPermissions><enabled>true</enabled><name>Bypass</name></customPermissions>",
            "In field: customPermission - no CustomPermission named Bypass found",
            id="a custom permission that is not there",
        ),
        pytest.param(
            "<tabSettings><tab>Sale__c</tab><visibility>Visible</visibility></tabSettings>",
            "In field: tab - no CustomTab named Sale__c found",
            id="a tab that is not there",
        ),
        pytest.param("<label></label>", "Required field is missing: label", id="no label"),
    ],
)
def test_a_permission_set_is_refused_for(org, inside, expected):
    assert expected in grant(org, inside)
    assert "Sync" not in org.permission_sets


def test_deploying_grants_nothing_until_the_set_is_assigned(org):
    user = org.user_named("sync@shop.example")
    whole = rights("Sale__c", "allowRead", "allowCreate", "allowEdit") + security("Sale__c.Total__c")
    assert [] == grant(org, whole)
    sale = org.find("Sale__c")
    assert not org.can(user, sale, "read")
    set_id = org.query(org.system, "SELECT Id FROM PermissionSet WHERE Name = 'Sync'")[0]["Id"]
    assigned = org.write(
        org.system, "PermissionSetAssignment", "insert", {"AssigneeId": user.id, "PermissionSetId": set_id}
    )
    assert [] == assigned.errors
    assert org.can(user, sale, "create")
    assert "Total__c" in org.visible_fields(user, sale)
    assert "Account__c" not in org.visible_fields(user, sale)


def test_a_new_version_replaces_the_old_one_whole(org):
    grant(org, rights("Sale__c", "allowRead") + security("Sale__c.Total__c"))
    grant(org, rights("Sale__c", "allowRead"))
    assert {} == org.permission_sets["Sync"].fields


def test_what_nobody_can_write_is_granted_for_reading_only(org):
    grant(org, security("Sale__c.Twice__c"))
    assert (True, False) == org.permission_sets["Sync"].fields["Sale__c.Twice__c"]


def test_custom_permissions_tabs_and_apps_come_in_one_package(org):
    inside = (
        "<label>Sync</label><customPermissions><enabled>true</enabled><name>Bypass</name></customPermissions>"
        "<tabSettings><tab>Sale__c</tab><visibility>Visible</visibility></tabSettings>"
        "<applicationVisibilities><application>Retail</application><visible>true</visible></applicationVisibilities>"
        "<userPermissions><enabled>true</enabled><name>ApiEnabled</name></userPermissions>"
    )
    found = install(
        org,
        PermissionSet=("permissionsets/Sync.permissionset", "Sync", inside),
        CustomApplication=(
            "applications/Retail.app",
            "Retail",
            "<label>Retail</label><tabs>standard-home</tabs><tabs>Sale__c</tabs>",
        ),
        CustomTab=(
            "tabs/Sale__c.tab",
            "Sale__c",
            "<customObject>true</customObject><motif>Custom53: Bell</motif>",
        ),
        CustomPermission=("customPermissions/Bypass.customPermission", "Bypass", "<label>Bypass</label>"),
    )
    assert [] == found
    held = org.permission_sets["Sync"]
    assert ({"Bypass"}, {"Sale__c": "Visible"}, {"ApiEnabled"}) == (
        held.custom_permissions,
        held.tabs,
        held.user_permissions,
    )


# --- pages ---


def items(*names):
    return "".join(
        f"<layoutItems><behavior>Edit</behavior><field>{name}</field></layoutItems>" for name in names
    )


def layout(*names, more=""):
    return f"<layoutSections><layoutColumns>{items(*names)}</layoutColumns></layoutSections>{more}"


LISTED = "<relatedLists><fields>NAME</fields><fields>{}</fields><relatedList>{}</relatedList></relatedLists>"


@pytest.mark.parametrize(
    ("name", "inside", "expected"),
    [
        pytest.param("Sale__c-Sale Layout", layout("Name", "Code__c", "Total__c"), [], id="a good layout"),
        pytest.param(
            "Sale__c-Sale Layout",
            layout("Name", "Code__c", "Gone__c"),
            ["In field: field - no CustomField named Sale__c.Gone__c found"],
            id="a field that is not there",
        ),
        pytest.param(
            "Sale__c-Sale Layout",
            layout("Name"),
            ["Layout must contain an item for required layout field: Code__c"],
            id="a required field left out",
        ),
        pytest.param(
            "Line__c-Line Layout",
            layout("Name"),
            ["Layout must contain an item for required layout field: Sale__c"],
            id="the master left out",
        ),
        pytest.param(
            "Account-Account Layout",
            layout("Name", more=LISTED.format("Total__c", "Sale__c.Account__c")),
            [],
            id="a related list",
        ),
        pytest.param(
            "Account-Account Layout",
            layout("Name", more=LISTED.format("Gone__c", "Sale__c.Account__c")),
            ["In field: field - no CustomField named Sale__c.Gone__c found"],
            id="a related list with a field that is not there",
        ),
        pytest.param(
            "Contact-Contact Layout",
            layout("Name", more=LISTED.format("Total__c", "Sale__c.Account__c")),
            ["In field: relatedList - no CustomField named Sale__c.Account__c found"],
            id="a related list of another parent",
        ),
        pytest.param(
            "Gone__c-Layout",
            layout("Name"),
            ["Parent entity failed to deploy: no CustomObject named Gone__c found"],
            id="a layout of nothing",
        ),
        pytest.param(
            "PersonAccount-Person",
            layout("Name"),
            ["Parent entity failed to deploy: no CustomObject named PersonAccount found"],
            id="a person's page where there are no person accounts",
        ),
    ],
)
def test_layouts(org, name, inside, expected):
    path = f"layouts/{name.replace(' ', '%20')}.layout"
    assert expected == install(org, Layout=(path, name, inside))


def test_a_persons_page_is_a_page_of_account():
    org = new_org(person_accounts=True)
    path, name = "layouts/PersonAccount-Person.layout", "PersonAccount-Person"
    assert [] == install(org, Layout=(path, name, layout("Name", "PersonEmail")))


def list_view(column):
    return (
        f"<listViews><fullName>All</fullName><columns>NAME</columns><columns>{column}</columns>"
        "<filterScope>Everything</filterScope><label>All</label></listViews>"
    )


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        pytest.param(list_view("Total__c"), [], id="a good list view"),
        pytest.param(
            list_view("Gone__c"),
            ["Could not resolve list view column: Gone__c"],
            id="a column that is not there",
        ),
        pytest.param(
            "<compactLayouts><fullName>C</fullName><fields>Gone__c</fields><label>C</label></compactLayouts>",
            ["In field: field - no CustomField named Sale__c.Gone__c found"],
            id="a compact layout with a field that is not there",
        ),
    ],
)
def test_parts_of_an_object(org, inside, expected):
    found = install(
        org, CustomObject=("objects/Sale__c.object", "Sale__c", SHELL.format("Sale", "Private") + inside)
    )
    assert expected == found


def test_a_record_type_can_be_queried_and_used(org):
    inside = "<recordTypes><fullName>Web</fullName><active>true</active><label>Web Sale</label></recordTypes>"
    assert [] == install(
        org, CustomObject=("objects/Sale__c.object", "Sale__c", SHELL.format("Sale", "Private") + inside)
    )
    found = org.query(org.system, "SELECT Id, DeveloperName FROM RecordType WHERE SobjectType = 'Sale__c'")
    assert ["Web"] == [row["DeveloperName"] for row in found]
    assert org.find("Sale__c").find("RecordTypeId") is not None


REPORT = (
    "<format>Tabular</format><name>All</name><reportType>{}</reportType><columns><field>{}</field></columns>"
)


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        pytest.param(REPORT.format("Sales__c", "Sale__c$Total__c"), [], id="a good report"),
        pytest.param(
            REPORT.format("Gone__c", "Sale__c$Total__c"),
            ["Invalid report type: Gone__c"],
            id="no such report type",
        ),
        pytest.param(
            REPORT.format("Sales__c", "Sale__c$Gone__c"),
            ["Invalid field name: Sale__c$Gone__c"],
            id="no such field",
        ),
    ],
)
def test_reports(org, inside, expected):
    columns = (
        "<columns><checkedByDefault>true</checkedByDefault><field>Total__c</field><table>Sale__c</table></columns>"
        "<columns><checkedByDefault>true</checkedByDefault><field>Amount__c</field><table>Sale__c.Lines__r</table></columns>"
    )
    kind = "<baseObject>Sale__c</baseObject><category>other</category><label>Sales</label>"
    kind += f"<sections>{columns}</sections>"
    found = install(
        org,
        ReportType=("reportTypes/Sales.reportType", "Sales", kind),
        Report_folder=("reports/Retail-meta.xml", "Retail", "<name>Retail</name>"),
        Report=("reports/Retail/All.report", "Retail/All", inside),
        Dashboard_none=("dashboards/Gone/All.dashboard", "Gone/All", "<title>All</title>"),
    )
    assert [*expected, "Cannot find folder:Gone"] == found


def test_a_report_needs_its_folder(org):
    inside = REPORT.format("Account", "ACCOUNT.NAME")
    assert ["Cannot find folder:Retail"] == install(
        org, Report=("reports/Retail/All.report", "Retail/All", inside)
    )


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        pytest.param("<fieldItem>Record.Total__c</fieldItem>", [], id="a field"),
        pytest.param(
            "<fieldItem>Record.Gone__c</fieldItem>",
            ["In field: field - no CustomField named Sale__c.Gone__c found"],
            id="a field that is not there",
        ),
        pytest.param(
            "<componentInstanceProperties><name>relatedListApiName</name><value>Gone__r</value></componentInstanceProperties>",
            ["The related list Gone__r does not exist on Sale__c"],
            id="a related list that is not there",
        ),
        pytest.param(
            "<componentInstanceProperties><name>relatedListApiName</name><value>Lines__r</value></componentInstanceProperties>",
            [],
            id="a related list",
        ),
    ],
)
def test_flexipages(org, inside, expected):
    page = f"<masterLabel>Sale</masterLabel><sobjectType>Sale__c</sobjectType><type>RecordPage</type>{inside}"
    assert expected == install(org, FlexiPage=("flexipages/Sale.flexipage", "Sale", page))
