"""Decides what is installed in a Salesforce org: the package as the Metadata API wants it, and its answers.

The repository holds source format, where every field has a file of its own;
the API takes metadata format, where an object is one file and `package.xml`
lists what is there. Nothing here speaks HTTP: the client sends what
`build_deploy_request` returns and feeds the answers to `parse_deploy_status`.

The same source gives the same bytes on every machine, so that a digest of the
zip says whether an org already has this package.
"""

from __future__ import annotations

import copy
import io
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import msgspec

API_VERSION = "67.0"
NAMESPACE = "http://soap.sforce.com/2006/04/metadata"
SOURCE_ROOT = Path("force-app/main/default")

# What one entry of an object's folder becomes inside objects/X.object, and the type it is listed under when
# the object itself is Salesforce's own. https://github.com/forcedotcom/source-deploy-retrieve (registry)
OBJECT_CHILDREN = {
    "businessProcesses": "BusinessProcess",
    "compactLayouts": "CompactLayout",
    "fieldSets": "FieldSet",
    "fields": "CustomField",
    "indexes": "Index",
    "listViews": "ListView",
    "recordTypes": "RecordType",
    "sharingReasons": "SharingReason",
    "validationRules": "ValidationRule",
    "webLinks": "WebLink",
}
TYPES = {
    "applications": "CustomApplication",
    "customPermissions": "CustomPermission",
    "dashboards": "Dashboard",
    "flexipages": "FlexiPage",
    "layouts": "Layout",
    "permissionsets": "PermissionSet",
    "reportTypes": "ReportType",
    "reports": "Report",
    "sharingRules": "SharingRules",
    "tabs": "CustomTab",
}
FOLDERED = ("dashboards", "reports")  # listed with their folder, and the folder is listed too
SOURCE_SUFFIX = "-meta.xml"

# What this word begins exists only where person accounts are enabled; a deploy that names it elsewhere fails.
PERSON_ACCOUNT = "PersonAccount"

_ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest a zip can say
_FILE_MODE = 0o644 << 16
_UNIX = 3


class PackageError(Exception):
    """The package source cannot be read: `path` says which file or folder, `reason` why."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Component:
    """One file of the zip, and the members of package.xml that it stands for, as (type, full name)."""

    path: str
    content: bytes
    members: tuple[tuple[str, str], ...]


def package_folder() -> Path:
    """Return the folder of the package source: beside the installed code, or at the root of a checkout."""
    here = Path(__file__).resolve()
    candidates = (here.parents[2] / "_salesforce_package", here.parents[4] / "salesforce")
    for folder in candidates:
        if (folder / "sfdx-project.json").is_file():
            return folder
    raise PackageError(str(candidates[0]), "the Salesforce package is missing from this installation")


def build_zip(
    folder: Path,
    *,
    person_accounts: bool,
    person_record_types: Sequence[str] = (PERSON_ACCOUNT,),
    api_version: str = API_VERSION,
) -> bytes:
    """Return the package as a zip in metadata format; without person accounts, what needs them stays out.

    `person_record_types` are the org's own names: an org may have renamed the one it was born with, or
    have several, and a permission set that names one it does not have is refused.
    """
    names = person_record_types if person_accounts else ()
    components = sorted(
        _components(folder / SOURCE_ROOT, person_accounts=person_accounts, record_types=names),
        key=lambda c: c.path,
    )
    if not components:
        raise PackageError(str(folder), "holds no components")
    files = [
        ("package.xml", _package_xml(components, api_version)),
        *((c.path, c.content) for c in components),
    ]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, content in files:
            archive.writestr(_entry(path), content)
    return buffer.getvalue()


def _entry(path: str) -> zipfile.ZipInfo:
    """Name one file of the zip. Stored, not deflated: compressors differ in their bytes between machines."""
    entry = zipfile.ZipInfo(path, _ZIP_TIME)
    entry.compress_type = zipfile.ZIP_STORED
    entry.create_system = _UNIX
    entry.external_attr = _FILE_MODE
    return entry


def _components(root: Path, *, person_accounts: bool, record_types: Sequence[str]) -> Iterator[Component]:
    if not root.is_dir():
        raise PackageError(str(root), "there is no package source")
    for folder in sorted(p for p in root.iterdir() if p.is_dir()):
        if folder.name == "objects":
            yield from (_object(o) for o in sorted(folder.iterdir()) if o.is_dir())
        elif folder.name in TYPES:
            for path in sorted(folder.rglob(f"*{SOURCE_SUFFIX}")):
                if person_accounts or not path.name.startswith(f"{PERSON_ACCOUNT}-"):
                    yield _plain(root, folder.name, path, record_types)
        else:
            raise PackageError(str(folder), "is no metadata folder that this version knows")


def _object(folder: Path) -> Component:
    """Put an object's files together: its own properties, then fields, list views and the rest, by name."""
    own_file = folder / f"{folder.name}.object{SOURCE_SUFFIX}"
    custom = own_file.is_file()
    root = _read(own_file) if custom else ET.Element(f"{{{NAMESPACE}}}CustomObject")
    members = [("CustomObject", folder.name)] if custom else []
    for child_folder in sorted(p for p in folder.iterdir() if p.is_dir()):
        type_name = OBJECT_CHILDREN.get(child_folder.name)
        if type_name is None:
            raise PackageError(str(child_folder), "is no part of an object that this version knows")
        for path in sorted(child_folder.glob(f"*{SOURCE_SUFFIX}")):
            child = _read(path)
            child.tag = f"{{{NAMESPACE}}}{child_folder.name}"
            root.append(child)
            if not custom:  # a standard object is never listed whole: only what we add to it
                members.append((type_name, f"{folder.name}.{path.name.split('.', 1)[0]}"))
    root[:] = sorted(root, key=lambda e: e.tag)  # stable, and entries of one kind must stand together
    return Component(f"objects/{folder.name}.object", _render(root), tuple(members))


def _plain(root: Path, folder: str, path: Path, record_types: Sequence[str]) -> Component:
    """Rename a file that has the same content in both formats."""
    relative = path.relative_to(root / folder).as_posix().removesuffix(SOURCE_SUFFIX)
    name = relative.rsplit(".", 1)[0]
    element = _read(path)
    if folder == "permissionsets":
        _name_person_record_types(element, record_types)
    if folder in FOLDERED and "/" not in relative:  # the folder itself has no type suffix in metadata format
        return Component(f"{folder}/{name}{SOURCE_SUFFIX}", _render(element), ((TYPES[folder], name),))
    return Component(f"{folder}/{relative}", _render(element), ((TYPES[folder], name),))


def _name_person_record_types(permission_set: ET.Element, record_types: Sequence[str]) -> None:
    """Put the org's own person record types where the source names the one that every org is born with."""
    for entry in permission_set.findall(f"{{{NAMESPACE}}}recordTypeVisibilities"):
        if not entry.findtext(f"{{{NAMESPACE}}}recordType", "").startswith(f"{PERSON_ACCOUNT}."):
            continue
        place = list(permission_set).index(entry)
        permission_set.remove(entry)
        for name in sorted(record_types, reverse=True):
            own = copy.deepcopy(entry)
            own.find(f"{{{NAMESPACE}}}recordType").text = f"{PERSON_ACCOUNT}.{name}"  # type: ignore[union-attr]
            permission_set.insert(place, own)


def _package_xml(components: list[Component], api_version: str) -> bytes:
    by_type: defaultdict[str, set[str]] = defaultdict(set)
    for component in components:
        for type_name, member in component.members:
            by_type[type_name].add(member)
    root = ET.Element(f"{{{NAMESPACE}}}Package")
    for type_name, members in sorted(by_type.items()):
        types = ET.SubElement(root, f"{{{NAMESPACE}}}types")
        for member in sorted(members):
            ET.SubElement(types, f"{{{NAMESPACE}}}members").text = member
        ET.SubElement(types, f"{{{NAMESPACE}}}name").text = type_name
    ET.SubElement(root, f"{{{NAMESPACE}}}version").text = api_version
    return _render(root)


def _read(path: Path) -> ET.Element:
    try:
        return ET.parse(path).getroot()  # noqa: S314 - our own package, not somebody's upload
    except ET.ParseError as error:
        raise PackageError(str(path), f"is no well-formed XML ({error})") from error


def _render(root: ET.Element) -> bytes:
    ET.indent(root, "    ")
    text: bytes = ET.tostring(root, encoding="UTF-8", xml_declaration=True, default_namespace=NAMESPACE)
    return text + b"\n"


# What goes over the wire: one request that starts a deployment, and the answers while it runs.
# https://developer.salesforce.com/docs/atlas.en-us.api_meta.meta/api_meta/meta_rest_deploy.htm

_BOUNDARY = "tillbridge-deploy-7f3c2b19d4"


def deploy_path(api_version: str = API_VERSION) -> str:
    """Return the path a deployment is posted to."""
    return f"/services/data/v{api_version}/metadata/deployRequest"


def deploy_status_path(deploy_id: str, api_version: str = API_VERSION) -> str:
    """Return the path that tells how a deployment stands, failures included."""
    return f"{deploy_path(api_version)}/{deploy_id}?includeDetails=true"


def build_deploy_request(package: bytes, *, check_only: bool) -> tuple[bytes, str]:
    """Return body and content type of the request that deploys a zip, or only tries whether it would go in.

    All or nothing: a half-installed package would look like missing rights
    later. No test level is named: without Apex in the package the org runs
    none, and naming one that production refuses would fail there.
    """
    options = {
        "deployOptions": {
            "allowMissingFiles": False,
            "checkOnly": check_only,
            "ignoreWarnings": True,  # a warning is shown, and is no reason to refuse
            "performRetrieve": False,
            "purgeOnDelete": False,
            "rollbackOnError": True,
            "singlePackage": True,
        }
    }
    boundary = _BOUNDARY
    while boundary.encode() in package:
        boundary += "-x"
    parts = (
        ('form-data; name="json"', "application/json", msgspec.json.encode(options)),
        ('form-data; name="file"; filename="package.zip"', "application/zip", package),
    )
    body = b"".join(
        f"--{boundary}\r\nContent-Disposition: {disposition}\r\nContent-Type: {kind}\r\n\r\n".encode()
        + content
        + b"\r\n"
        for disposition, kind, content in parts
    )
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


class ComponentFailure(msgspec.Struct, frozen=True, kw_only=True):
    """One component the org refused, and why. `line` and `column` are 0 where the org names none."""

    kind: str
    full_name: str
    file: str
    line: int
    column: int
    problem: str


class DeployStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How a deployment stands. `success` means something only when `done`.

    `status` keeps the org's word: Pending, InProgress, FinalizingDeploy,
    Succeeded, SucceededPartial, Failed, Canceling, Canceled, or a newer one.
    `failures` holds refused components and failed tests, `warnings` what went in all the same.
    """

    id: str
    status: str
    done: bool
    success: bool
    check_only: bool
    total: int
    deployed: int
    errors: int
    error_message: str | None
    failures: tuple[ComponentFailure, ...]
    warnings: tuple[ComponentFailure, ...]


class _Message(msgspec.Struct, rename="camel"):
    component_type: str | None = None
    file_name: str | None = None
    full_name: str | None = None
    problem: str | None = None
    problem_type: str | None = None
    line_number: int | None = None
    column_number: int | None = None

    def facts(self) -> ComponentFailure:
        return ComponentFailure(
            kind=self.component_type or "",
            full_name=self.full_name or "",
            file=self.file_name or "",
            line=self.line_number or 0,
            column=self.column_number or 0,
            problem=self.problem or "",
        )


class _TestFailure(msgspec.Struct, rename="camel"):
    name: str | None = None
    method_name: str | None = None
    message: str | None = None

    def facts(self) -> ComponentFailure:
        name = f"{self.name or ''}.{self.method_name or ''}"
        return ComponentFailure(
            kind="ApexTest", full_name=name, file="", line=0, column=0, problem=self.message or ""
        )


class _TestRun(msgspec.Struct, rename="camel"):
    failures: Any = None


class _Details(msgspec.Struct, rename="camel"):
    component_failures: Any = None
    component_successes: Any = None
    run_test_result: _TestRun | None = None


class _DeployResult(msgspec.Struct, rename="camel"):
    status: str
    done: bool = False
    success: bool = False
    check_only: bool = False
    number_components_total: int = 0
    number_components_deployed: int = 0
    number_component_errors: int = 0
    number_test_errors: int = 0
    error_message: str | None = None
    details: _Details | None = None


class _Answer(msgspec.Struct, rename="camel"):
    id: str
    deploy_result: _DeployResult


def parse_deploy_status(body: bytes) -> DeployStatus:
    """Read the answer to a deployment's start or to a question about it; raises `msgspec.DecodeError`."""
    answer = msgspec.json.decode(body, type=_Answer, strict=False)
    result = answer.deploy_result
    details = result.details or _Details()
    refused = _messages(details.component_failures)
    tests = msgspec.convert(
        _listed(details.run_test_result.failures if details.run_test_result else None),
        list[_TestFailure],
        strict=False,
    )
    return DeployStatus(
        id=answer.id,
        status=result.status,
        done=result.done,
        success=result.success,
        check_only=result.check_only,
        total=result.number_components_total,
        deployed=result.number_components_deployed,
        errors=result.number_component_errors + result.number_test_errors,
        error_message=result.error_message,
        failures=tuple(m.facts() for m in refused if not _warns(m)) + tuple(t.facts() for t in tests),
        # A warning of a deployed component stands among the successes.
        warnings=tuple(m.facts() for m in (*refused, *_messages(details.component_successes)) if _warns(m)),
    )


def _warns(message: _Message) -> bool:
    return (message.problem_type or "").lower() == "warning"


def _messages(value: Any) -> list[_Message]:
    return msgspec.convert(_listed(value), list[_Message], strict=False)


def _listed(value: Any) -> list[Any]:
    """Answer a list for a list, for one element without its list, and for nothing."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
