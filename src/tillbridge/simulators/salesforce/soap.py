"""The SOAP door, as far as REST has no other: merge() of the partner API (fact sheet §7.4).

Every result stands for itself, a fault for the whole call; its HTTP status is 500 whatever it is about.
https://developer.salesforce.com/docs/atlas.en-us.api.meta/api/sforce_api_calls_merge.htm
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from xml.parsers import expat
from xml.sax.saxutils import escape

from tillbridge.simulators.httpd import Request, Response
from tillbridge.simulators.salesforce import oauth, people
from tillbridge.simulators.salesforce.ids import with_checksum
from tillbridge.simulators.salesforce.org import Org
from tillbridge.simulators.salesforce.schema import User
from tillbridge.simulators.salesforce.table import Row, Table
from tillbridge.simulators.salesforce.values import Refused

PATH = re.compile(r"/services/Soap/u/(\d{2}\.0)(?:/00D\w+)?\Z")
REQUESTS_MAX = 200
LOSERS_MAX = 2
OBJECTS = ("Account", "Contact", "Lead", "Case")
_API, _RECORD = "urn:partner.soap.sforce.com", "urn:sobject.partner.soap.sforce.com"
_ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"


class Fault(Exception):
    """The call as a whole is refused."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(slots=True)
class Element:
    """One element of a request."""

    space: str
    tag: str
    text: str
    children: list[Element]

    def all(self, space: str, tag: str) -> list[Element]:
        """Return the children of a name."""
        return [child for child in self.children if (child.space, child.tag) == (space, tag)]

    def one(self, space: str, tag: str) -> Element:
        """Return the only child of a name."""
        found = self.all(space, tag)
        if len(found) != 1:
            raise Fault("soapenv:Client", f"Element {{{space}}}{tag} is expected once in {self.tag}")
        return found[0]


def handle(org: Org, request: Request) -> Response:
    """Answer one call."""
    try:
        results = _merged(org, request)
    except Fault as fault:
        return _answer(500, _faulty(fault))
    return _answer(200, f"<mergeResponse>{results}</mergeResponse>")


def _merged(org: Org, request: Request) -> str:
    if request.method != "POST" or "xml" not in request.headers.get("content-type", ""):
        raise Fault("soapenv:Client", "unsupported content type or method")
    if "soapaction" not in request.headers:
        raise Fault("soapenv:Client", "SOAPAction HTTP header missing")
    envelope = _parse(request.body)
    user = _user(org, envelope, request)
    org.usage.count("POST /services/Soap/u merge")
    if org.switches["api_disabled"]:
        raise Fault("sf:API_DISABLED_FOR_ORG", "API is not enabled for this Organization or Partner")
    if org.usage.exhausted():
        org.usage.refused += 1
        raise Fault("sf:REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
    wishes = envelope.one(_ENVELOPE, "Body").one(_API, "merge").all(_API, "request")
    if len(wishes) > REQUESTS_MAX:
        message = f"record limit reached. cannot submit more than {REQUESTS_MAX} records into this call"
        raise Fault("sf:EXCEEDED_ID_LIMIT", message)
    return "".join(_merge(org, user, wish) for wish in wishes)


def _user(org: Org, envelope: Element, request: Request) -> User:
    """Find who asks: the session stands in the body, never in a header."""
    header = envelope.one(_ENVELOPE, "Header").one(_API, "SessionHeader")
    token = header.one(_API, "sessionId").text.strip()
    asked = Request(
        request.method, request.target, request.path, request.query,
        {**request.headers, "authorization": f"Bearer {token}"}, b"", request.origin,
    )  # fmt: skip
    user = oauth.authenticate(org, asked)
    if isinstance(user, Response):
        message = "Invalid Session ID found in SessionHeader: Illegal Session. Session not found, missing"
        raise Fault("sf:INVALID_SESSION_ID", message)
    return user


def _merge(org: Org, user: User, wish: Element) -> str:
    master = wish.one(_API, "masterRecord")
    master_id = master.one(_RECORD, "Id").text.strip()
    losers = [each.text.strip() for each in wish.all(_API, "recordToMergeIds")]
    try:
        table, row = _checked(org, user, master.one(_RECORD, "type").text.strip(), master_id, losers)
        fields = _fields(table, master)
        if fields:
            _write(org, user, table, {**fields, "Id": row["Id"]})
        for loser in losers:
            people.merge(org, row["Id"], loser)
    except Refused as refused:
        return _refusal(refused)
    merged = "".join(f"<mergedRecordIds>{with_checksum(i[:15])}</mergedRecordIds>" for i in losers)
    return f"<result><id>{row['Id']}</id>{merged}<success>true</success></result>"


def _checked(org: Org, user: User, kind: str, master: str, losers: list[str]) -> tuple[Table, Row]:
    """Look at everything before anything is merged: a request is merged whole or not at all."""
    if kind not in OBJECTS or kind not in org.tables:
        raise Refused("INVALID_TYPE", f"sObject type '{kind}' is not supported by merge().")
    if not 0 < len(losers) <= LOSERS_MAX or master in losers or len(set(losers)) != len(losers):
        raise Refused("INVALID_OPERATION", "merge takes one or two other records beside the master")
    rows = []
    for each in (master, *losers):
        found = org.row(each)
        if found is None or found[0].sobject.name != kind:
            raise Refused("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")
        if found[1]["Id"] not in found[0].rows:
            raise Refused("ENTITY_IS_DELETED", "entity is deleted")
        rows.append(found)
    if not all(org.can(user, kind, right) for right in ("edit", "delete")):
        raise Refused("INSUFFICIENT_ACCESS_OR_READONLY", "insufficient access rights on object id")
    if kind == "Account" and len({bool(row.get("IsPersonAccount")) for _, row in rows}) > 1:
        raise Refused("INVALID_OPERATION", "A person account can only be merged with a person account.")
    if kind == "Lead" and any(row.get("IsConverted") for _, row in rows):
        raise Refused("CANNOT_UPDATE_CONVERTED_LEAD", "cannot reference converted lead")
    return rows[0]


def _fields(table: Table, master: Element) -> Row:
    """Read what the master is given. External ids may not be among it (fact sheet §7.4)."""
    given: Row = {each.text.strip(): None for each in master.all(_RECORD, "fieldsToNull")}
    for each in master.children:
        if each.space == _RECORD and each.tag not in {"type", "Id", "fieldsToNull"}:
            given[each.tag] = each.text
    for name in given:
        field = table.sobject.fields.get(name)
        if field is None:
            raise Refused(
                "INVALID_FIELD", f"No such column '{name}' on entity '{table.sobject.name}'.", [name]
            )
        if field.external_id:
            message = "merge does not support external id fields"
            raise Refused("INVALID_FIELD_FOR_INSERT_UPDATE", message, [name])
        if field.type == "boolean" and given[name] is not None:
            given[name] = given[name] == "true"
    return given


def _write(org: Org, user: User, table: Table, fields: Row) -> None:
    result = org.write(user, table.sobject.name, "update", fields, allow_duplicates=True)
    if not result.success:
        error = result.errors[0]
        raise Refused(error.code, error.message, error.fields)


def _refusal(refused: Refused) -> str:
    error = refused.error
    fields = "".join(f"<fields>{escape(name)}</fields>" for name in error.fields)
    return (
        f"<result><errors>{fields}<message>{escape(error.message)}</message>"
        f"<statusCode>{error.code}</statusCode></errors><success>false</success></result>"
    )


def _faulty(fault: Fault) -> str:
    code = fault.code.rpartition(":")[2]
    text = f"{code}: {fault}" if fault.code.startswith("sf:") else str(fault)
    return (
        f"<soapenv:Fault><faultcode>{fault.code}</faultcode>"
        f"<faultstring>{escape(text)}</faultstring></soapenv:Fault>"
    )


def _answer(status: int, body: str) -> Response:
    whole = (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<soapenv:Envelope xmlns:soapenv="{_ENVELOPE}" xmlns="{_API}"'
        ' xmlns:sf="urn:fault.partner.soap.sforce.com">'
        f"<soapenv:Body>{body}</soapenv:Body></soapenv:Envelope>"
    )
    return Response(status, whole.encode(), {"Content-Type": "text/xml;charset=UTF-8"})


def _parse(content: bytes) -> Element:
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    stack = [Element("", "", "", [])]

    def start(name: str, _attributes: dict[str, str]) -> None:
        space, _, tag = name.rpartition(" ")
        element = Element(space, tag, "", [])
        stack[-1].children.append(element)
        stack.append(element)

    def end(_name: str) -> None:
        stack.pop()

    def characters(text: str) -> None:
        stack[-1].text += text

    def doctype(*_: object) -> None:
        raise Fault("soapenv:Client", "DOCTYPE is not allowed")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = characters, doctype
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        raise Fault("soapenv:Client", f"Unable to parse the request: {error}") from error
    return stack[0].one(_ENVELOPE, "Envelope")
