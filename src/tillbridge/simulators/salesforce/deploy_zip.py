"""What a metadata zip holds, held against its own package.xml.

Only the metadata format is known here: one file for an object with everything in
it. Source-format files (`…-meta.xml`, one for each field) are unknown files to the
API. Fact sheet section 8.1;
https://developer.salesforce.com/docs/atlas.en-us.api_meta.meta/api_meta/file_based.htm
"""

from __future__ import annotations

import io
import re
import zipfile
from dataclasses import dataclass, field
from urllib.parse import unquote

from tillbridge.simulators.salesforce import deploy_xml
from tillbridge.simulators.salesforce.deploy_xml import Node

FILES_MAX = 10_000
ZIP_BYTES_MAX = 39 * 1024 * 1024
UNZIPPED_BYTES_MAX = 600 * 1024 * 1024
# folder -> (type, suffix). Reports and dashboards lie one folder deeper.
FOLDERS = {
    "objects": ("CustomObject", ".object"),
    "permissionsets": ("PermissionSet", ".permissionset"),
    "permissionsetgroups": ("PermissionSetGroup", ".permissionsetgroup"),
    "customPermissions": ("CustomPermission", ".customPermission"),
    "tabs": ("CustomTab", ".tab"),
    "layouts": ("Layout", ".layout"),
    "applications": ("CustomApplication", ".app"),
    "flexipages": ("FlexiPage", ".flexipage"),
    "reportTypes": ("ReportType", ".reportType"),
    "reports": ("Report", ".report"),
    "dashboards": ("Dashboard", ".dashboard"),
    "labels": ("CustomLabels", ".labels"),
    "quickActions": ("QuickAction", ".quickAction"),
    "sharingRules": ("SharingRules", ".sharingRules"),
    "groups": ("Group", ".group"),
    "queues": ("Queue", ".queue"),
    "globalValueSets": ("GlobalValueSet", ".globalValueSet"),
}
FOLDERED = {"Report", "Dashboard"}
# What an object file may hold besides fields, and how package.xml calls each.
OBJECT_PARTS = {
    "fields": "CustomField",
    "listViews": "ListView",
    "compactLayouts": "CompactLayout",
    "recordTypes": "RecordType",
    "validationRules": "ValidationRule",
    "fieldSets": "FieldSet",
    "webLinks": "WebLink",
    "businessProcesses": "BusinessProcess",
    "sharingReasons": "SharingReason",
    "indexes": "Index",
}
OTHER_PARTS = {"CustomLabel", "SharingCriteriaRule", "SharingOwnerRule"}
TYPES = {kind for kind, _ in FOLDERS.values()} | set(OBJECT_PARTS.values()) | OTHER_PARTS


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with one component."""

    kind: str
    name: str
    file: str
    text: str
    line: int = 0
    column: int = 0
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Component:
    """One file of the zip, read."""

    kind: str
    name: str
    file: str
    node: Node


@dataclass(slots=True)
class Bundle:
    """A zip, read: its components, what package.xml names, and what is wrong so far."""

    components: list[Component] = field(default_factory=list)
    members: dict[str, set[str]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    version: str = ""

    def named(self, kind: str, name: str) -> bool:
        """Say whether package.xml asks for a component."""
        wanted = self.members.get(kind, set())
        # The wildcard leaves out standard objects, and whatever lies in folders.
        everything = (
            "*" in wanted and kind not in FOLDERED and (kind != "CustomObject" or name.endswith("__c"))
        )
        return everything or name in wanted


class ZipRefused(ValueError):
    """Not a zip that anything could be read from."""


def read(content: bytes, *, single_package: bool, allow_missing: bool) -> Bundle:
    """Read a zip. Raises ZipRefused; smaller troubles are in `problems`."""
    files = _unpack(content, single_package=single_package)
    bundle = Bundle()
    package = files.pop("package.xml", None)
    if package is None:
        bundle.problems.append(Problem("", "package.xml", "package.xml", "No package.xml found"))
        return bundle
    _read_package(bundle, package)
    for path, body in sorted(files.items()):
        _read_file(bundle, path, body)
    _compare(bundle, allow_missing=allow_missing)
    return bundle


def parts_of(component: Component) -> list[tuple[str, str, Node]]:
    """Return (type, full name, element) of everything inside an object file that has a name of its own."""
    return [
        (OBJECT_PARTS[node.tag], f"{component.name}.{node.get('fullName')}", node)
        for node in component.node.children
        if node.tag in OBJECT_PARTS
    ]


def _unpack(content: bytes, *, single_package: bool) -> dict[str, bytes]:
    if len(content) > ZIP_BYTES_MAX:
        raise ZipRefused(
            f"Maximum size of request reached. Maximum size of request is {ZIP_BYTES_MAX} bytes."
        )
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
        entries = [info for info in archive.infolist() if not info.is_dir()]
        if len(entries) > FILES_MAX:
            raise ZipRefused(f"Too many files in zip: the maximum is {FILES_MAX}")
        if sum(info.file_size for info in entries) > UNZIPPED_BYTES_MAX:
            raise ZipRefused(f"Unzipped files exceed {UNZIPPED_BYTES_MAX} bytes")
        files = {info.filename: archive.read(info) for info in entries}
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as wrong:
        raise ZipRefused("The zip file is not valid: it could not be read") from wrong
    # Without singlePackage each top folder is a package of its own; one is simulated.
    tops = {path.partition("/")[0] for path in files}
    if "package.xml" not in files and len(tops) == 1 and not single_package:
        return {path.partition("/")[2]: body for path, body in files.items()}
    return files


def _read_package(bundle: Bundle, body: bytes) -> None:
    def wrong(text: str, line: int = 0, column: int = 0) -> None:
        bundle.problems.append(Problem("", "package.xml", "package.xml", text, line, column))

    try:
        node = deploy_xml.parse(body)
    except deploy_xml.XmlRefused as refused:
        wrong(str(refused), refused.line, refused.column)
        return
    bundle.version = node.get("version")
    if not re.fullmatch(r"\d{2,3}\.0", bundle.version):
        wrong(
            "No version specified in package.xml"
            if not bundle.version
            else f"Invalid version: {bundle.version}"
        )
    for group in node.all("types"):
        kind = group.get("name")
        if kind not in TYPES:
            wrong(f"Unknown type name '{kind}' specified in package.xml", group.line, group.column)
            continue
        bundle.members.setdefault(kind, set()).update(group.texts("members"))


def _read_file(bundle: Bundle, path: str, body: bytes) -> None:
    if re.fullmatch(r"destructiveChanges(Pre|Post)?\.xml", path):
        if b"<members>" in body:
            bundle.problems.append(Problem("", path, path, "Destructive changes are not simulated"))
        return
    known = _kind_and_name(path)
    if known is None:
        text = f"Unknown file: {path} does not belong to the metadata format of any type"
        bundle.problems.append(Problem("", path.rpartition("/")[2], path, text))
        return
    kind, name = known
    try:
        node = deploy_xml.parse(body)
    except deploy_xml.XmlRefused as refused:
        bundle.problems.append(Problem(kind, name, path, str(refused), refused.line, refused.column))
        return
    root = (
        {"Report": "ReportFolder", "Dashboard": "DashboardFolder"}.get(kind, kind)
        if path.endswith("-meta.xml")
        else kind
    )
    if node.tag != root:
        text = f"Entity of type '{node.tag}' cannot be in a file for {root}"
        bundle.problems.append(Problem(kind, name, path, text, node.line, node.column))
        return
    bundle.components.append(Component(kind, name, path, node))


def _kind_and_name(path: str) -> tuple[str, str] | None:
    folder, _, rest = path.partition("/")
    if folder not in FOLDERS or not rest:
        return None
    kind, suffix = FOLDERS[folder]
    if kind in FOLDERED:
        if rest.endswith("-meta.xml") and "/" not in rest and "." not in rest.removesuffix("-meta.xml"):
            return kind, rest.removesuffix("-meta.xml")
        return (kind, rest.removesuffix(suffix)) if "/" in rest and rest.endswith(suffix) else None
    if "/" in rest or not rest.endswith(suffix):
        return None
    return kind, unquote(rest.removesuffix(suffix))


def _compare(bundle: Bundle, *, allow_missing: bool) -> None:
    """Name every file that package.xml does not ask for, and every member that has no file."""
    present: dict[str, set[str]] = {}
    for component in bundle.components:
        present.setdefault(component.kind, set()).add(component.name)
        whole = bundle.named(component.kind, component.name)
        parts = parts_of(component) if component.kind == "CustomObject" else []
        for kind, name, node in parts:
            present.setdefault(kind, set()).add(name)
            if not whole and not bundle.named(kind, name):
                bundle.problems.append(
                    Problem(kind, name, component.file, "Not in package.xml", node.line, node.column)
                )
        if not whole and not parts:
            problem = Problem(component.kind, component.name, component.file, "Not in package.xml")
            bundle.problems.append(problem)
    broken = {(p.kind, p.name) for p in bundle.problems}
    for kind, wanted in bundle.members.items():
        for name in sorted(wanted - {"*"} - present.get(kind, set())):
            if kind in OTHER_PARTS or (kind, name) in broken:
                continue
            named = f"An object '{name}' of type {kind} was named in package.xml"
            text = f"{named}, but was not found in zipped directory"
            bundle.problems.append(Problem("", name, "package.xml", text, warning=allow_missing))
