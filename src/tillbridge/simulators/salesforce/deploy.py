"""Metadata deployment over REST: a zip goes in, objects and rights come out, or a list of reasons why not.

A deployment waits, works and is done by the simulated clock, or by polls where
the clock stands still. The org changes in the moment it is done, and not before.
Fact sheet section 8.1;
https://developer.salesforce.com/docs/atlas.en-us.api_meta.meta/api_meta/meta_rest_deploy.htm

Switches: deploy_polls (default 2), deploy_seconds (default 3.0), deploy_finalizing (show FinalizingDeploy
before the end).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tillbridge.simulators.httpd import Request, Response
from tillbridge.simulators.salesforce import (
    deploy_access,
    deploy_objects,
    deploy_pages,
    deploy_zip,
    multipart,
)
from tillbridge.simulators.salesforce.deploy_view import Success, View
from tillbridge.simulators.salesforce.deploy_zip import Problem
from tillbridge.simulators.salesforce.org import Org
from tillbridge.simulators.salesforce.schema import User

POLLS = 2
SECONDS = 3.0
QUICK_DEPLOY_SECONDS_MAX = 10 * 86_400
OPTIONS: dict[str, Any] = {
    "checkOnly": False,
    "ignoreWarnings": False,
    "allowMissingFiles": False,
    "performRetrieve": False,
    "purgeOnDelete": False,
    "rollbackOnError": True,
    "runAllTests": False,
    "runTests": [],
    "singlePackage": False,
    "testLevel": None,
}
TEST_LEVELS = {
    None,
    "NoTestRun",
    "RunSpecifiedTests",
    "RunLocalTests",
    "RunAllTestsInOrg",
    "RunRelevantTests",
}
FINAL = {"Succeeded", "SucceededPartial", "Failed", "Canceled"}


@dataclass(slots=True)
class Deploy:
    """One deployment and how far it is."""

    id: str
    user: User
    options: dict[str, Any]
    content: bytes
    created_at: float
    status: str = "Pending"
    polls: int = 0
    ended_at: float = 0.0
    finalizing_since: tuple[float, int] | None = None
    problems: list[Problem] = field(default_factory=list)
    successes: list[Success] = field(default_factory=list)
    error: str = ""


@dataclass(slots=True)
class Deploys:
    """The org's deployments, and what they left that no object or permission set holds."""

    deploys: dict[str, Deploy] = field(default_factory=dict)
    stored: dict[str, dict[str, Any]] = field(default_factory=dict)


class Refused(Exception):
    """A request that the deploy resource turns away."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def state(org: Org) -> Deploys:
    """Return the org's deployments, made at first use."""
    found = org.extras.get("deploys")
    if not isinstance(found, Deploys):
        found = org.extras["deploys"] = Deploys()
    return found


def advance(org: Org) -> None:
    """Let deployments catch up with the clock; cheap when none is at work."""
    for deploy in state(org).deploys.values():
        if deploy.status not in FINAL:
            _move(org, deploy)


def handle(org: Org, user: User, request: Request) -> Response:
    """Answer /services/data/vXX.X/metadata/deployRequest and what lies below it."""
    found = re.fullmatch(r"/services/data/v\d+\.\d/metadata/deployRequest(?:/(\w+))?/?", request.path)
    try:
        if found is None:
            raise _missing()
        advance(org)
        match request.method, found[1]:
            case "POST", None:
                return _create(org, user, request)
            case "POST", deploy_id:
                return _quick(org, user, request, _find(org, deploy_id))
            case "GET", str(deploy_id):
                return _status(org, request, _find(org, deploy_id))
            case "PATCH", str(deploy_id):
                return _cancel(org, request, _find(org, deploy_id))
    except Refused as no:
        return Response.of([{"message": no.message, "errorCode": no.code}], no.status)
    text = f"HTTP Method '{request.method}' not allowed. Allowed are GET, PATCH, POST"
    return Response.of([{"message": text, "errorCode": "METHOD_NOT_ALLOWED"}], 405)


def install(org: Org, content: bytes, **options: Any) -> list[Problem]:
    """Deploy a zip at once and return its errors: how a test or a demo furnishes an org."""
    deploy = Deploy(
        org.new_id("0Af"), org.system, OPTIONS | {"singlePackage": True} | options, content, org.clock.now()
    )
    _work(org, deploy)
    return [problem for problem in deploy.problems if not problem.warning]


# --- requests ----------------------------------------------------------------------------------------


def _create(org: Org, user: User, request: Request) -> Response:
    _check_rights(org, user)
    try:
        parts = multipart.parse(request.headers.get("content-type", ""), request.body)
    except multipart.MultipartError as wrong:
        raise Refused(400, "INVALID_MULTIPART_REQUEST", str(wrong)) from wrong
    if "json" not in parts or "file" not in parts:
        raise Refused(400, "INVALID_MULTIPART_REQUEST", "The request needs the parts json and file")
    if parts["file"].headers.get("content-type", "application/zip").partition(";")[0] != "application/zip":
        raise Refused(415, "UNSUPPORTED_MEDIA_TYPE", "The part file must be application/zip")
    options = _options(_json(parts["json"].body))
    return _start(org, user, options, parts["file"].body)


def _options(wish: dict[str, Any]) -> dict[str, Any]:
    given = wish.get("deployOptions")
    if not isinstance(given, dict):
        raise Refused(400, "JSON_PARSER_ERROR", "deployOptions is missing")
    if unknown := sorted(set(given) - set(OPTIONS)):
        raise Refused(400, "JSON_PARSER_ERROR", f'Unrecognized field "{unknown[0]}" in deployOptions')
    if given.get("testLevel") not in TEST_LEVELS:
        raise Refused(400, "JSON_PARSER_ERROR", f"{given['testLevel']} is not a valid value for testLevel")
    return OPTIONS | given


def _start(org: Org, user: User, options: dict[str, Any], content: bytes) -> Response:
    deploy = Deploy(org.new_id("0Af"), user, options, content, org.clock.now())
    state(org).deploys[deploy.id] = deploy
    body = {"id": deploy.id, "deployOptions": options, "deployResult": _result(deploy, details=False)}
    return Response.of(body, 201)


def _quick(org: Org, user: User, request: Request, validated: Deploy) -> Response:
    _check_rights(org, user)
    wish = _json(request.body).get("validatedDeployRequestId", validated.id)
    age = org.clock.now() - validated.ended_at
    good = (
        validated.status == "Succeeded" and validated.options["checkOnly"] and age <= QUICK_DEPLOY_SECONDS_MAX
    )
    if str(wish)[:15] != validated.id[:15] or not good:
        raise Refused(
            400, "INVALID_ID_FIELD", f"The validation {wish} can no longer be deployed without a new one"
        )
    return _start(org, user, validated.options | {"checkOnly": False}, validated.content)


def _status(org: Org, request: Request, deploy: Deploy) -> Response:
    if deploy.status not in FINAL:
        deploy.polls += 1
        _move(org, deploy)
    details = request.param("includeDetails").lower() == "true"
    body = {
        "id": deploy.id,
        "url": f"{request.origin}{request.path}",
        "deployOptions": deploy.options,
        "deployResult": _result(deploy, details=details),
    }
    return Response.of(body)


def _cancel(org: Org, request: Request, deploy: Deploy) -> Response:
    wish = _json(request.body).get("deployResult")
    if not isinstance(wish, dict) or wish.get("status") != "Canceling":
        raise Refused(400, "JSON_PARSER_ERROR", 'Only {"deployResult":{"status":"Canceling"}} can be sent')
    if deploy.status in FINAL or deploy.status == "FinalizingDeploy":
        raise Refused(400, "INVALID_ID_FIELD", f"The deployment cannot be canceled: it is {deploy.status}")
    was = _result(deploy, details=False) | {"status": "Canceling"}
    deploy.status, deploy.ended_at = "Canceled", org.clock.now()
    return Response.of({"id": deploy.id, "deployOptions": deploy.options, "deployResult": was}, 202)


def _result(deploy: Deploy, *, details: bool) -> dict[str, Any]:
    errors = [p for p in deploy.problems if not p.warning]
    done = deploy.status in FINAL
    result: dict[str, Any] = {
        "id": deploy.id,
        "status": deploy.status,
        "done": done,
        "success": deploy.status in {"Succeeded", "SucceededPartial"},
        "checkOnly": deploy.options["checkOnly"],
        "rollbackOnError": deploy.options["rollbackOnError"],
        "ignoreWarnings": deploy.options["ignoreWarnings"],
        "runTestsEnabled": False,
        "createdBy": deploy.user.id,
        "createdByName": deploy.user.name,
        "createdDate": _moment(deploy.created_at),
        "startDate": _moment(deploy.created_at),
        "lastModifiedDate": _moment(deploy.ended_at or deploy.created_at),
        "completedDate": _moment(deploy.ended_at) if done else None,
        "numberComponentsDeployed": len(deploy.successes),
        "numberComponentsTotal": len(deploy.successes) + len(errors),
        "numberComponentErrors": len(errors),
        "numberTestsCompleted": 0,
        "numberTestsTotal": 0,
        "numberTestErrors": 0,
        "stateDetail": None,
        "errorMessage": deploy.error or None,
        "errorStatusCode": "UNKNOWN_EXCEPTION" if deploy.error else None,
    }
    if details:
        result["details"] = {
            "componentFailures": [_problem(deploy, p) for p in errors],
            "componentSuccesses": [
                *(_success(deploy, s) for s in deploy.successes),
                *(_problem(deploy, p) for p in deploy.problems if p.warning),
            ],
            "runTestResult": {
                "numTestsRun": 0,
                "numFailures": 0,
                "totalTime": 0.0,
                "successes": [],
                "failures": [],
            },
        }
    return result


def _problem(deploy: Deploy, problem: Problem) -> dict[str, Any]:
    return {
        "componentType": problem.kind,
        "fileName": problem.file,
        "fullName": problem.name,
        "problem": problem.text,
        "problemType": "Warning" if problem.warning else "Error",
        "lineNumber": problem.line or None,
        "columnNumber": problem.column or None,
        "success": problem.warning,
        "warning": problem.warning,
        "changed": False,
        "created": False,
        "deleted": False,
        "createdDate": _moment(deploy.ended_at),
    }


def _success(deploy: Deploy, success: Success) -> dict[str, Any]:
    return {
        "componentType": success.kind,
        "fileName": success.file,
        "fullName": success.name,
        "success": True,
        "changed": success.changed,
        "created": success.created,
        "deleted": False,
        "warning": False,
        "createdDate": _moment(deploy.ended_at),
    }


# --- the work ----------------------------------------------------------------------------------------


def _move(org: Org, deploy: Deploy) -> None:
    """Bring a deployment to where its clock or its polls are."""
    seconds = float(org.switches.get("deploy_seconds", SECONDS))
    by_time = (org.clock.now() - deploy.created_at) / seconds if seconds > 0 else 1.0
    polls = max(1, int(org.switches.get("deploy_polls", POLLS)))
    share = max(by_time, deploy.polls / polls)
    if share < 1.0:
        deploy.status = "InProgress" if share > 0 else "Pending"
    elif org.switches.get("deploy_finalizing", False) and _finalizes(org, deploy):
        deploy.status = "FinalizingDeploy"
    else:
        _work(org, deploy)


def _finalizes(org: Org, deploy: Deploy) -> bool:
    """Say whether this is still the moment in which FinalizingDeploy began."""
    now = (org.clock.now(), deploy.polls)
    deploy.finalizing_since = deploy.finalizing_since or now
    return deploy.finalizing_since == now


def _work(org: Org, deploy: Deploy) -> None:
    deploy.ended_at = org.clock.now()
    options = deploy.options
    try:
        bundle = deploy_zip.read(
            deploy.content,
            single_package=options["singlePackage"],
            allow_missing=options["allowMissingFiles"],
        )
    except deploy_zip.ZipRefused as wrong:
        deploy.status, deploy.error = "Failed", str(wrong)
        return
    view = View(org, state(org).stored)
    if not any(p.file == "package.xml" and not p.warning for p in bundle.problems):
        deploy_objects.deploy(view, bundle)
        deploy_access.deploy(view, bundle)
        deploy_pages.deploy(view, bundle)
    deploy.problems = bundle.problems + view.problems
    failed = {(p.kind, p.name) for p in deploy.problems if not p.warning}
    deploy.successes = [s for s in view.successes if (s.kind, s.name) not in failed]
    deploy.status = _verdict(deploy)
    if deploy.status != "Failed" and not options["checkOnly"]:
        for kind, name in failed:
            if kind == "CustomObject":
                view.drop(name)
        view.apply()


def _verdict(deploy: Deploy) -> str:
    bad = [p for p in deploy.problems if not p.warning]
    if not bad:
        return "Succeeded"
    partial = not deploy.options["rollbackOnError"] and deploy.successes
    return "SucceededPartial" if partial else "Failed"


def _check_rights(org: Org, user: User) -> None:
    """Refuse users without Modify Metadata: an administrator has it, a minimal API user does not."""
    held = {p for s in org.permission_sets_of(user) for p in s.user_permissions}
    if not (user.sees_everything or user.all_standard or held & {"ModifyAllData", "ModifyMetadata"}):
        raise Refused(
            403, "INSUFFICIENT_ACCESS", "insufficient access rights: Modify Metadata permission is needed"
        )


def _find(org: Org, deploy_id: str) -> Deploy:
    for deploy in state(org).deploys.values():
        if deploy.id[:15] == deploy_id[:15]:
            return deploy
    raise _missing()


def _missing() -> Refused:
    return Refused(404, "NOT_FOUND", "The requested resource does not exist")


def _json(body: bytes) -> dict[str, Any]:
    try:
        wish = json.loads(body)
    except ValueError as wrong:
        raise Refused(400, "JSON_PARSER_ERROR", f"The JSON part is not valid: {wrong}") from wrong
    if not isinstance(wish, dict):
        raise Refused(400, "JSON_PARSER_ERROR", "The JSON part must be an object")
    return wish


def _moment(epoch: float) -> str:
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")
