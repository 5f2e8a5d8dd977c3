"""The zip in metadata format, the request that carries it, and the answers that come back."""

from __future__ import annotations

import io
import json
import zipfile
from email.parser import BytesParser
from email.policy import HTTP
from xml.etree import ElementTree as ET

import msgspec
import pytest

from tillbridge.connectors.salesforce import metadata
from tillbridge.connectors.salesforce.metadata import ComponentFailure, PackageError

NS = {"m": metadata.NAMESPACE}
HEAD = f'<?xml version="1.0" encoding="UTF-8"?>\n<{{0}} xmlns="{metadata.NAMESPACE}">{{1}}</{{0}}>'


def unzip(package: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def manifest(package: bytes) -> dict[str, list[str]]:
    root = ET.fromstring(unzip(package)["package.xml"])
    return {
        types.findtext("m:name", "", NS): [m.text for m in types.findall("m:members", NS)]
        for types in root.findall("m:types", NS)
    }


@pytest.fixture(scope="module")
def package() -> bytes:
    return metadata.build_zip(metadata.package_folder(), person_accounts=True)


@pytest.fixture
def source(tmp_path):
    """A package of one's own: write(path, root element, inner XML) adds a file."""

    def write(path: str, root: str, inner: str = "") -> None:
        file = tmp_path / metadata.SOURCE_ROOT / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(HEAD.format(root, inner), encoding="utf-8")

    write.folder = tmp_path
    return write


# The zip


def test_same_source_gives_same_bytes(package):
    assert package == metadata.build_zip(metadata.package_folder(), person_accounts=True)


def test_bytes_hold_nothing_of_the_machine_and_the_moment(package):
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        marks = {(i.date_time, i.create_system, i.external_attr, i.compress_type) for i in archive.infolist()}
        names = archive.namelist()

    assert {((1980, 1, 1, 0, 0, 0), 3, 0o644 << 16, zipfile.ZIP_STORED)} == marks
    assert ["package.xml", *sorted(names[1:])] == names


def test_package_fits_the_platforms_limits(package):
    assert len(package) < 39 * 1024 * 1024  # fact sheet, limits of a metadata zip
    assert len(unzip(package)) < 10_000


def test_manifest_names_every_file_and_every_file_is_named(package):
    folders = {metadata.TYPES.get(f, "CustomObject"): f for f in [*metadata.TYPES, "objects"]}
    files = {
        (path.split("/")[0], path.split("/", 1)[1].rsplit(".", 1)[0])
        for path in unzip(package)
        if path != "package.xml"
    }
    listed = {
        (folders[kind], name)
        for kind, names in manifest(package).items()
        if kind in folders
        for name in names
    } | {("objects", field.split(".")[0]) for field in manifest(package)["CustomField"]}

    assert files == listed


def test_standard_objects_are_listed_by_field_and_never_whole(package):
    listed = manifest(package)

    assert [] == [n for n in listed["CustomObject"] if not n.endswith("__c")]
    assert {"Account", "Contact", "Lead", "Product2"} == {f.split(".")[0] for f in listed["CustomField"]}


def test_manifest_says_the_api_version(package):
    root = ET.fromstring(unzip(package)["package.xml"])

    assert metadata.API_VERSION == root.findtext("m:version", "", NS)


def test_every_file_is_well_formed_and_of_the_metadata_namespace(package):
    for content in unzip(package).values():
        assert ET.fromstring(content).tag.startswith(f"{{{metadata.NAMESPACE}}}")


def test_an_object_is_put_together_from_its_files(source):
    source("objects/Box__c/Box__c.object-meta.xml", "CustomObject", "<label>Box</label>")
    source("objects/Box__c/fields/B__c.field-meta.xml", "CustomField", "<fullName>B__c</fullName>")
    source("objects/Box__c/fields/A__c.field-meta.xml", "CustomField", "<fullName>A__c</fullName>")
    source("objects/Box__c/listViews/All.listView-meta.xml", "ListView", "<fullName>All</fullName>")

    package = metadata.build_zip(source.folder, person_accounts=False)

    root = ET.fromstring(unzip(package)["objects/Box__c.object"])
    told = [(e.tag.split("}")[1], e.findtext("m:fullName", e.text, NS)) for e in root]
    assert [("fields", "A__c"), ("fields", "B__c"), ("label", "Box"), ("listViews", "All")] == told
    assert {"CustomObject": ["Box__c"]} == manifest(package)


def test_elements_of_one_kind_stand_together(package):
    # The platform reads a kind that comes back after another one as "duplicated at this location".
    for path, content in unzip(package).items():
        tags = [e.tag for e in ET.fromstring(content)]
        runs = [tag for i, tag in enumerate(tags) if i == 0 or tags[i - 1] != tag]
        assert len(set(runs)) == len(runs), path


def test_reports_lie_in_folders_that_are_listed_too(source):
    source("reports/Tillbridge.reportFolder-meta.xml", "ReportFolder", "<name>Tillbridge</name>")
    source("reports/Tillbridge/Takings.report-meta.xml", "Report", "<name>Takings</name>")

    package = metadata.build_zip(source.folder, person_accounts=False)

    assert ["reports/Tillbridge-meta.xml", "reports/Tillbridge/Takings.report"] == sorted(unzip(package))[1:]
    assert {"Report": ["Tillbridge", "Tillbridge/Takings"]} == manifest(package)


def test_without_person_accounts_nothing_names_them():
    package = metadata.build_zip(metadata.package_folder(), person_accounts=False)

    assert [] == [path for path, content in unzip(package).items() if b"PersonAccount" in content]
    assert [] == [path for path in unzip(package) if "PersonAccount" in path]


def test_with_person_accounts_the_integration_user_may_use_their_record_type(package):
    content = unzip(package)["permissionsets/Tillbridge_Integration.permissionset"]

    assert b"<recordType>PersonAccount.PersonAccount</recordType>" in content
    assert "PersonAccount-Tillbridge Customer Layout" in manifest(package)["Layout"]


# Sources that cannot be read


def test_unknown_folders_are_no_silent_loss(source):
    source("tabs/Box__c.tab-meta.xml", "CustomTab")
    source("triggers/Box.trigger-meta.xml", "ApexTrigger")

    with pytest.raises(PackageError, match="no metadata folder"):
        metadata.build_zip(source.folder, person_accounts=False)


def test_unknown_parts_of_an_object_are_no_silent_loss(source):
    source("objects/Box__c/Box__c.object-meta.xml", "CustomObject")
    source("objects/Box__c/oddities/A.oddity-meta.xml", "Oddity")

    with pytest.raises(PackageError, match="no part of an object"):
        metadata.build_zip(source.folder, person_accounts=False)


def test_a_broken_file_is_named(source):
    source("tabs/Box__c.tab-meta.xml", "CustomTab", "<motif>")

    with pytest.raises(PackageError, match=r"Box__c\.tab-meta\.xml: is no well-formed XML"):
        metadata.build_zip(source.folder, person_accounts=False)


def test_a_package_with_nothing_in_it_is_refused(tmp_path):
    (tmp_path / metadata.SOURCE_ROOT).mkdir(parents=True)

    with pytest.raises(PackageError, match="no components"):
        metadata.build_zip(tmp_path, person_accounts=False)


def test_a_folder_that_is_no_package_is_named(tmp_path):
    with pytest.raises(PackageError, match="no package source"):
        metadata.build_zip(tmp_path, person_accounts=False)


# The request


def parts(body: bytes, content_type: str) -> dict[str, tuple[str, bytes]]:
    message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)
    return {
        p.get_param("name", header="content-disposition"): (p.get_content_type(), p.get_payload(decode=True))
        for p in message.iter_parts()
    }


@pytest.mark.parametrize("check_only", [True, False], ids=["only tried", "installed"])
def test_request_has_options_and_file(check_only):
    body, content_type = metadata.build_deploy_request(b"PK zip", check_only=check_only)

    found = parts(body, content_type)
    assert ("application/zip", b"PK zip") == found["file"]
    options = json.loads(found["json"][1])["deployOptions"]
    assert (check_only, True, True) == (
        options["checkOnly"],
        options["rollbackOnError"],
        options["singlePackage"],
    )
    assert "testLevel" not in options


def test_boundary_never_occurs_in_the_file():
    _, content_type = metadata.build_deploy_request(b"PK", check_only=True)
    boundary = content_type.split("boundary=")[1].encode()

    body, content_type = metadata.build_deploy_request(b"PK--" + boundary + b"\r\n", check_only=True)

    assert b"PK--" + boundary in body
    assert content_type.split("boundary=")[1].encode() not in b"PK--" + boundary


def test_paths_carry_the_version():
    assert "/services/data/v67.0/metadata/deployRequest" == metadata.deploy_path("67.0")
    assert (
        "/services/data/v68.0/metadata/deployRequest/0Af1?includeDetails=true"
        == metadata.deploy_status_path("0Af1", "68.0")
    )


# The answers


def answer(**result) -> bytes:
    return json.dumps(
        {"id": "0Af000000000001AAA", "deployResult": {"status": "InProgress", **result}}
    ).encode()


def test_answer_to_the_start_is_not_done():
    status = metadata.parse_deploy_status(
        b'{"id":"0Af1","deployOptions":{"checkOnly":true},"deployResult":{"id":"0Af1","status":"Pending"}}'
    )

    assert ("0Af1", "Pending", False, False) == (status.id, status.status, status.done, status.success)
    assert (0, 0, 0, (), ()) == (
        status.total,
        status.deployed,
        status.errors,
        status.failures,
        status.warnings,
    )


def test_progress_is_counted():
    status = metadata.parse_deploy_status(
        answer(numberComponentsTotal=200, numberComponentsDeployed=120, numberComponentErrors=1)
    )

    assert (200, 120, 1) == (status.total, status.deployed, status.errors)


REFUSED = {
    "componentType": "CustomField",
    "fileName": "objects/Account.object",
    "fullName": "Account.Customer_Type__c",
    "problem": "Cannot change field type due to existing data",
    "problemType": "Error",
    "lineNumber": 12,
    "columnNumber": 13,
    "success": False,
}
FAILURE = ComponentFailure(
    kind="CustomField",
    full_name="Account.Customer_Type__c",
    file="objects/Account.object",
    line=12,
    column=13,
    problem="Cannot change field type due to existing data",
)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        pytest.param([REFUSED], (FAILURE,), id="a list"),
        pytest.param(REFUSED, (FAILURE,), id="one without its list"),
        pytest.param([], (), id="none"),
        pytest.param(None, (), id="null"),
        pytest.param(
            [{"problem": "No package.xml found", "lineNumber": None, "componentType": ""}],
            (
                ComponentFailure(
                    kind="", full_name="", file="", line=0, column=0, problem="No package.xml found"
                ),
            ),
            id="hardly anything",
        ),
    ],
)
def test_refused_components_are_listed_with_their_place(told, expected):
    status = metadata.parse_deploy_status(
        answer(status="Failed", done=True, success=False, details={"componentFailures": told})
    )

    assert ("Failed", True, False, expected) == (status.status, status.done, status.success, status.failures)


def test_warnings_are_no_failures():
    warning = REFUSED | {"problemType": "Warning"}

    status = metadata.parse_deploy_status(
        answer(
            status="Succeeded",
            done=True,
            success=True,
            details={"componentFailures": [warning], "componentSuccesses": [warning, {"fullName": "Lead"}]},
        )
    )

    assert ((), (FAILURE, FAILURE)) == (status.failures, status.warnings)


def test_failed_tests_of_the_org_are_failures():
    failed = {"name": "OrgTest", "methodName": "adds", "message": "System.AssertException: no"}

    status = metadata.parse_deploy_status(
        answer(numberTestErrors=1, details={"runTestResult": {"failures": [failed]}})
    )

    expected = ComponentFailure(
        kind="ApexTest",
        full_name="OrgTest.adds",
        file="",
        line=0,
        column=0,
        problem="System.AssertException: no",
    )
    assert (1, (expected,)) == (status.errors, status.failures)


def test_a_deployment_that_failed_as_a_whole_says_why():
    status = metadata.parse_deploy_status(
        answer(status="Failed", done=True, success=False, errorMessage="UNKNOWN_EXCEPTION: (4711)")
    )

    assert "UNKNOWN_EXCEPTION: (4711)" == status.error_message


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"id":"0Af1"}', b""], ids=repr)
def test_anything_else_is_no_answer(body):
    with pytest.raises(msgspec.DecodeError):
        metadata.parse_deploy_status(body)
