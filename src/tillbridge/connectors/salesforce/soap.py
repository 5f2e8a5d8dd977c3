"""Decide how records are merged: the one verb we need that REST does not have, so it goes by SOAP.

Bodies are built and answers read here, without any I/O. An answer is XML of a
remote: document types are refused before anything is expanded. The access token
serves as session id, and it stands in the body: no body may be logged.
https://developer.salesforce.com/docs/atlas.en-us.api.meta/api/sforce_api_calls_merge.htm
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from xml.parsers import expat
from xml.sax.saxutils import escape

from tillbridge.connectors.http import HttpAnswer
from tillbridge.connectors.salesforce import protocol, wire
from tillbridge.model.acks import Ack, Refused, Written
from tillbridge.model.errors import SyncError
from tillbridge.model.writing import Merge

# One call takes 200 requests, each of them a master and two more (fact sheet Salesforce 7.4).
MERGES_MAX = 200
LOSERS_MAX = 2
OBJECTS = frozenset({"Account", "Contact", "Lead"})

HEADERS: Mapping[str, str] = {
    "Content-Type": "text/xml; charset=UTF-8",
    "Accept": "text/xml",
    "SOAPAction": '"merge"',
}
_ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
_API = "urn:partner.soap.sforce.com"
_RECORD = "urn:sobject.partner.soap.sforce.com"
_DEPTH_MAX = 32
# A fault's status is always 500, whatever it is about; these alone are the server's own trouble.
_SERVERS_FAULT = frozenset({"SERVER_UNAVAILABLE", "UNKNOWN_EXCEPTION"})


def path(version: str) -> str:
    """Return where the partner API of a version is."""
    return f"/services/Soap/u/{version}"


def merge_body(session: str, merges: Sequence[Merge]) -> bytes:
    """Write the request. Raises ValueError for what Salesforce would refuse as a whole."""
    if not 0 < len(merges) <= MERGES_MAX:
        raise ValueError(f"{len(merges)} merges do not go into one call")
    requests = "".join(map(_request, merges))
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<e:Envelope xmlns:e="{_ENVELOPE}" xmlns:u="{_API}" xmlns:s="{_RECORD}">'
        f"<e:Header><u:SessionHeader><u:sessionId>{_text(session)}</u:sessionId></u:SessionHeader>"
        # Names us in the org's change events, as our REST calls do.
        "<u:CallOptions><u:client>tillbridge</u:client></u:CallOptions></e:Header>"
        f"<e:Body><u:merge>{requests}</u:merge></e:Body></e:Envelope>"
    ).encode()


def _request(merge: Merge) -> str:
    if merge.object not in OBJECTS or not 0 < len(merge.losers) <= LOSERS_MAX:
        raise ValueError(f"{len(merge.losers)} records of {merge.object} do not go into one merge")
    fields = "".join(
        f"<s:{name}>{_text(value)}</s:{name}>" for name, value in merge.fields.items() if value is not None
    )
    emptied = "".join(
        f"<s:fieldsToNull>{_text(name)}</s:fieldsToNull>"
        for name, value in merge.fields.items()
        if value is None
    )
    losers = "".join(f"<u:recordToMergeIds>{_text(loser)}</u:recordToMergeIds>" for loser in merge.losers)
    return (
        f"<u:request><u:masterRecord><s:type>{merge.object}</s:type>{emptied}"
        f"<s:Id>{_text(merge.master)}</s:Id>{fields}</u:masterRecord>{losers}</u:request>"
    )


def _text(value: str) -> str:
    """Escape a text. What XML cannot hold at all (control characters) is left out."""
    return escape("".join(c for c in value if c in "\t\n\r" or (c >= " " and c not in "\ufffe\uffff")))


def merge_acks(answer: HttpAnswer, merges: Sequence[Merge]) -> list[Ack]:
    """Read what became of each merge, in the order asked."""
    results = [node for node in _read(answer.body).walk() if node.tag == "result"]
    if len(results) != len(merges):
        raise protocol.unreadable("a merge")
    return [_ack(node) for node in results]


def _ack(node: _Node) -> Ack:
    if node.get("success") == "true":
        return Written(wire.id18(node.get("id")), created=False)
    errors = [child for child in node.children if child.tag == "errors"]
    if not errors:
        return protocol.NO_REASON.refused()
    messages = dict.fromkeys(error.get("message") for error in errors)
    fields = dict.fromkeys(
        name.text for error in errors for name in error.children if name.tag == "fields" and name.text
    )
    return Refused(errors[0].get("statusCode") or "UNKNOWN_EXCEPTION", "; ".join(messages), tuple(fields))


def failure(answer: HttpAnswer) -> SyncError:
    """Sort an answer that is no success: a fault says in its own words what REST says in JSON."""
    try:
        top = _read(answer.body)
    except SyncError:
        return protocol.failure(answer)  # A page of the edge before the org.
    fault = next((node for node in top.walk() if node.tag == "Fault"), None)
    if fault is None:
        return protocol.failure(answer)
    code = fault.get("faultcode").rpartition(":")[2]
    message = fault.get("faultstring").removeprefix(f"{code}: ")
    status = answer.status if code in _SERVERS_FAULT else 400
    error = [{"errorCode": code, "message": message}]
    return protocol.failure(HttpAnswer(status, answer.headers, wire.encode(error)))


# -- XML ------------------------------------------------------------------


@dataclass(slots=True)
class _Node:
    """One element, its name without its namespace: the answers use none of them twice."""

    tag: str
    text: str = ""
    children: list[_Node] = field(default_factory=list)

    def get(self, tag: str) -> str:
        """Return the text of the first child of a name, "" without one."""
        return next((child.text.strip() for child in self.children if child.tag == tag), "")

    def walk(self) -> list[_Node]:
        """Return this element and everything below it."""
        return [self, *(below for child in self.children for below in child.walk())]


class _NotSafe(ValueError):
    """A document type, or a tree that is deeper than any answer."""


def _read(body: bytes) -> _Node:
    """Read an answer. Raises Transient: one that is no XML was cut off or replaced on its way."""
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    stack = [_Node("")]

    def start(name: str, _attributes: dict[str, str]) -> None:
        if len(stack) > _DEPTH_MAX:
            raise _NotSafe
        node = _Node(name.rpartition(" ")[2])
        stack[-1].children.append(node)
        stack.append(node)

    def end(_name: str) -> None:
        stack.pop()

    def characters(text: str) -> None:
        stack[-1].text += text

    def doctype(*_: object) -> None:
        raise _NotSafe  # Entities, and with them every known attack, need one.

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = characters, doctype
    try:
        parser.Parse(body, True)
    except (expat.ExpatError, _NotSafe):
        raise protocol.unreadable("a merge") from None
    return stack[0]
