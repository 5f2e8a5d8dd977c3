"""Metadata deployment in the simulator: requests, states, and the package's own table of contents (§8.1)."""

import json

import pytest
import requests
from salesforce_doors import DATA, META, ask, meta, multipart, new_org, package, zipped

from tillbridge.simulators.salesforce import deploy

HOME = f"{DATA}/metadata/deployRequest"
STORE = """
<label>Retail Store</label><pluralLabel>Retail Stores</pluralLabel><sharingModel>ReadWrite</sharingModel>
<deploymentStatus>Deployed</deploymentStatus><nameField><label>Store Name</label><type>Text</type></nameField>
<fields><fullName>Store_Key__c</fullName><label>Store Key</label><type>Text</type><length>40</length>
<externalId>true</externalId><unique>true</unique><caseSensitive>true</caseSensitive></fields>
"""
GRANT = """
<label>Tillbridge Integration</label>
<objectPermissions><object>Retail_Store__c</object><allowRead>true</allowRead><allowCreate>true</allowCreate>
<allowEdit>true</allowEdit></objectPermissions>
<fieldPermissions><field>Retail_Store__c.Store_Key__c</field><readable>true</readable><editable>true</editable></fieldPermissions>
"""
SMALL = {
    "package.xml": package(CustomObject=["Retail_Store__c"], PermissionSet=["Tillbridge"]),
    "objects/Retail_Store__c.object": meta("CustomObject", STORE),
    "permissionsets/Tillbridge.permissionset": meta("PermissionSet", GRANT),
}


@pytest.fixture
def org():
    made = new_org()
    made.add_user("admin@shop.example", "Admin User")
    return made


def admin(org):
    return org.user_named("admin@shop.example")


def post(org, files, user=None, *, boundary="tillbridge", newline=b"\r\n", **options):
    content = files if isinstance(files, bytes) else zipped(files)
    wish = json.dumps({"deployOptions": {"singlePackage": True, **options}}).encode()
    body = multipart(
        boundary,
        newline,
        json=("application/json", "", wish),
        file=("application/zip", "deploy.zip", content),
    )
    request = ask("POST", HOME, body, content_type=f'multipart/form-data; boundary="{boundary}"')
    return deploy.handle(org, user or admin(org), request)


def body(response):
    return json.loads(response.body)


def look(org, deploy_id):
    return body(deploy.handle(org, admin(org), ask("GET", f"{HOME}/{deploy_id}?includeDetails=true")))[
        "deployResult"
    ]


def outcome(org, files, **options):
    """Deploy and poll to the end."""
    deploy_id = body(post(org, files, **options))["id"]
    for _ in range(5):
        result = look(org, deploy_id)
        if result["done"]:
            return result
    raise AssertionError(result)


def failures(result):
    return [(f["componentType"], f["fullName"], f["problem"]) for f in result["details"]["componentFailures"]]


# --- requests and states ---


def test_a_deployment_is_accepted_and_waits(org):
    response = post(org, SMALL)
    told = body(response)
    assert 201 == response.status
    assert told["id"].startswith("0Af")
    assert "Pending" == told["deployResult"]["status"]
    assert told["deployOptions"]["rollbackOnError"] is True


def test_polls_move_it_where_the_clock_stands_still(org):
    deploy_id = body(post(org, SMALL))["id"]
    assert ["InProgress", "Succeeded", "Succeeded"] == [look(org, deploy_id)["status"] for _ in range(3)]


def test_the_clock_moves_it_without_polls(org):
    post(org, SMALL)
    org.clock.advance(3)
    deploy.advance(org)
    assert org.find("Retail_Store__c") is not None


def test_the_org_changes_only_at_the_end(org):
    deploy_id = body(post(org, SMALL))["id"]
    look(org, deploy_id)
    assert org.find("Retail_Store__c") is None
    look(org, deploy_id)
    assert org.find("Retail_Store__c") is not None


def test_finalizing_is_shown_where_the_version_has_it(org):
    org.switches["deploy_finalizing"] = True
    deploy_id = body(post(org, SMALL))["id"]
    assert ["InProgress", "FinalizingDeploy", "Succeeded"] == [
        look(org, deploy_id)["status"] for _ in range(3)
    ]


def test_success_lists_what_was_made(org):
    result = outcome(org, SMALL)
    made = {
        (s["componentType"], s["fullName"], s["created"]) for s in result["details"]["componentSuccesses"]
    }
    assert {
        ("CustomObject", "Retail_Store__c", True),
        ("CustomField", "Retail_Store__c.Store_Key__c", True),
        ("PermissionSet", "Tillbridge", True),
    } == made
    counts = (
        result["numberComponentsDeployed"],
        result["numberComponentsTotal"],
        result["numberComponentErrors"],
    )
    assert (3, 3, 0) == counts


def test_details_come_only_when_asked_for(org):
    deploy_id = body(post(org, SMALL))["id"]
    told = body(deploy.handle(org, admin(org), ask("GET", f"{HOME}/{deploy_id}")))
    assert "details" not in told["deployResult"]


def test_the_second_time_updates(org):
    outcome(org, SMALL)
    before = org.permission_sets["Tillbridge"].id
    result = outcome(org, SMALL)
    assert "Succeeded" == result["status"]
    assert {False} == {s["created"] for s in result["details"]["componentSuccesses"]}
    assert before == org.permission_sets["Tillbridge"].id
    assert 1 == len(org.query(admin(org), "SELECT Id FROM PermissionSet WHERE Name = 'Tillbridge'"))


def test_check_only_leaves_nothing_and_can_be_deployed_quickly(org):
    validated = body(post(org, SMALL, checkOnly=True))["id"]
    while not look(org, validated)["done"]:
        pass
    assert org.find("Retail_Store__c") is None
    request = ask("POST", f"{HOME}/{validated}", {"validatedDeployRequestId": validated})
    response = deploy.handle(org, admin(org), request)
    quick = body(response)["id"]
    assert (201, True) == (response.status, quick != validated)
    while not look(org, quick)["done"]:
        pass
    assert org.find("Retail_Store__c") is not None


def test_an_old_validation_cannot_be_deployed_quickly(org):
    validated = body(post(org, SMALL, checkOnly=True))["id"]
    while not look(org, validated)["done"]:
        pass
    org.clock.advance(11 * 86_400)
    request = ask("POST", f"{HOME}/{validated}", {"validatedDeployRequestId": validated})
    assert 400 == deploy.handle(org, admin(org), request).status


def test_canceling_stops_it(org):
    deploy_id = body(post(org, SMALL))["id"]
    cancel = ask("PATCH", f"{HOME}/{deploy_id}", {"deployResult": {"status": "Canceling"}})
    response = deploy.handle(org, admin(org), cancel)
    assert (202, "Canceling") == (response.status, body(response)["deployResult"]["status"])
    assert "Canceled" == look(org, deploy_id)["status"]
    assert org.find("Retail_Store__c") is None
    assert 400 == deploy.handle(org, admin(org), cancel).status


@pytest.mark.parametrize(
    ("boundary", "newline"),
    [
        pytest.param("----WebKitFormBoundaryX", b"\r\n", id="dashes in the boundary"),
        pytest.param("a'b(c)+_,-./:=?d", b"\r\n", id="every sign that a boundary may have"),
        pytest.param("x", b"\n", id="bare line feeds"),
    ],
)
def test_multipart_is_read_whatever_its_boundary(org, boundary, newline):
    assert 201 == post(org, SMALL, boundary=boundary, newline=newline).status


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        pytest.param(ask("GET", f"{HOME}/0Af000000000001AAA"), 404, "NOT_FOUND", id="unknown deployment"),
        pytest.param(ask("GET", HOME), 405, "METHOD_NOT_ALLOWED", id="no listing"),
        pytest.param(ask("POST", HOME, {}), 400, "INVALID_MULTIPART_REQUEST", id="not multipart"),
        pytest.param(
            ask("POST", HOME, b"--x\r\n\r\nhalf", content_type="multipart/form-data; boundary=x"),
            400,
            "INVALID_MULTIPART_REQUEST",
            id="cut off",
        ),
    ],
)
def test_requests_refused(org, request_, status, code):
    response = deploy.handle(org, admin(org), request_)
    assert (status, code) == (response.status, body(response)[0]["errorCode"])


def test_an_api_user_without_modify_metadata_may_not_deploy(org):
    user = org.add_user("api@shop.example", "Api User", all_standard=False)
    assert 403 == post(org, SMALL, user=user).status


def test_what_is_no_zip_fails_the_deployment(org):
    result = outcome(org, b"this is no zip")
    assert ("Failed", "UNKNOWN_EXCEPTION") == (result["status"], result["errorStatusCode"])


# --- the package against its package.xml ---


def without(path):
    return {name: content for name, content in SMALL.items() if name != path}


SOURCE = "objects/Retail_Store__c/fields/Code__c.field-meta.xml"
MISSING = (
    "An object 'Tillbridge' of type PermissionSet was named in package.xml, "
    "but was not found in zipped directory"
)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param(
            without("package.xml"), ("", "package.xml", "No package.xml found"), id="no package.xml"
        ),
        pytest.param(
            SMALL | {"package.xml": package(CustomObject=["Retail_Store__c"])},
            ("PermissionSet", "Tillbridge", "Not in package.xml"),
            id="a file that package.xml does not name",
        ),
        pytest.param(
            without("permissionsets/Tillbridge.permissionset"),
            ("", "Tillbridge", MISSING),
            id="a member without a file",
        ),
        pytest.param(
            SMALL | {"package.xml": package(version="", CustomObject=["*"], PermissionSet=["*"])},
            ("", "package.xml", "No version specified in package.xml"),
            id="no version",
        ),
        pytest.param(
            SMALL | {"package.xml": package(CustomObjects=["*"])},
            ("", "package.xml", "Unknown type name 'CustomObjects' specified in package.xml"),
            id="a type that does not exist",
        ),
        pytest.param(
            SMALL | {SOURCE: meta("CustomField", "")},
            (
                "",
                "Code__c.field-meta.xml",
                f"Unknown file: {SOURCE} does not belong to the metadata format of any type",
            ),
            id="source format",
        ),
        pytest.param(
            SMALL | {"objects/Retail_Store__c.object": meta("CustomObjekt", STORE)},
            (
                "CustomObject",
                "Retail_Store__c",
                "Entity of type 'CustomObjekt' cannot be in a file for CustomObject",
            ),
            id="another root element",
        ),
        pytest.param(
            SMALL | {"objects/Retail_Store__c.object": "<CustomObject/>"},
            (
                "CustomObject",
                "Retail_Store__c",
                "Unknown root element CustomObject: the namespace must be " + META,
            ),
            id="no namespace",
        ),
    ],
)
def test_package_problems(org, files, expected):
    result = outcome(org, files)
    assert "Failed" == result["status"]
    assert expected in failures(result)
    assert org.find("Retail_Store__c") is None


def test_broken_xml_names_its_place(org):
    files = SMALL | {"objects/Retail_Store__c.object": meta("CustomObject", "<label>Store</lable>")}
    failure = outcome(org, files)["details"]["componentFailures"][0]
    assert ("Error parsing file: mismatched tag", 3) == (failure["problem"], failure["lineNumber"])


def test_missing_files_can_be_allowed(org):
    files = without("permissionsets/Tillbridge.permissionset")
    assert "Succeeded" == outcome(org, files, allowMissingFiles=True)["status"]


def test_the_wildcard_leaves_standard_objects_out(org):
    account = (
        "<fields><fullName>Key__c</fullName><label>Key</label><type>Checkbox</type>"
        "<defaultValue>false</defaultValue></fields>"
    )
    files = {
        "package.xml": package(CustomObject=["*"]),
        "objects/Account.object": meta("CustomObject", account),
    }
    assert [("CustomField", "Account.Key__c", "Not in package.xml")] == failures(outcome(org, files))
    files["package.xml"] = package(CustomField=["Account.Key__c"])
    assert "Succeeded" == outcome(org, files)["status"]
    assert "boolean" == org.find("Account").find("Key__c").type


def test_the_good_half_is_deployed_without_rollback(org):
    files = SMALL | {"permissionsets/Tillbridge.permissionset": meta("PermissionSet", "<label/>")}
    assert "Failed" == outcome(org, files)["status"]
    assert org.find("Retail_Store__c") is None
    assert "SucceededPartial" == outcome(org, files, rollbackOnError=False)["status"]
    assert org.find("Retail_Store__c") is not None


def test_a_real_clients_multipart_is_read(org):
    files = {
        "json": (None, json.dumps({"deployOptions": {"singlePackage": True}}), "application/json"),
        "file": ("deploy.zip", zipped(SMALL), "application/zip"),
    }
    sent = requests.Request("POST", f"https://shop.example{HOME}", files=files).prepare()
    request = ask("POST", HOME, sent.body, content_type=sent.headers["Content-Type"])
    assert 201 == deploy.handle(org, admin(org), request).status
