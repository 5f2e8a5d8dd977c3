"""Merging by SOAP: what is sent, what an answer means, and what an answer may not do to us."""

import pytest

from tillbridge.connectors.http import HttpAnswer
from tillbridge.connectors.salesforce import soap
from tillbridge.connectors.salesforce.protocol import SessionExpired
from tillbridge.model.acks import Refused, Written
from tillbridge.model.errors import BadRequest, LimitReached, Transient
from tillbridge.model.writing import Merge

MASTER, LOSER, OTHER = "003000000000001AAA", "003000000000002AAA", "003000000000003AAA"
MERGE = Merge("Contact", MASTER, (LOSER,))
ENVELOPE = (
    '<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope '
    'xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns="urn:partner.soap.sforce.com" '
    'xmlns:sf="urn:fault.partner.soap.sforce.com"><soapenv:Body>{}</soapenv:Body></soapenv:Envelope>'
)


def answer(body, status=200):
    return HttpAnswer(status, {}, ENVELOPE.format(body).encode())


def results(*bodies):
    return answer("<mergeResponse>" + "".join(f"<result>{b}</result>" for b in bodies) + "</mergeResponse>")


def fault(code, message):
    said = f"<faultcode>{code}</faultcode><faultstring>{message}</faultstring>"
    return answer(f"<soapenv:Fault>{said}</soapenv:Fault>", 500)


def test_a_merge_as_it_is_sent():
    fields = {"LastName": "O'Neil & <Sons>", "MailingCity": None}
    body = soap.merge_body("00D!tok<en", [Merge("Contact", MASTER, (LOSER, OTHER), fields)]).decode()

    assert "<u:sessionId>00D!tok&lt;en</u:sessionId>" in body
    assert (
        "<u:request><u:masterRecord><s:type>Contact</s:type><s:fieldsToNull>MailingCity</s:fieldsToNull>"
        f"<s:Id>{MASTER}</s:Id><s:LastName>O'Neil &amp; &lt;Sons&gt;</s:LastName></u:masterRecord>"
        f"<u:recordToMergeIds>{LOSER}</u:recordToMergeIds>"
        f"<u:recordToMergeIds>{OTHER}</u:recordToMergeIds></u:request>"
    ) in body


def test_what_xml_cannot_hold_is_left_out():
    body = soap.merge_body("t", [Merge("Lead", MASTER, (LOSER,), {"LastName": "Pri\x00\x1bns\ufffe"})])

    assert b"<s:LastName>Prins</s:LastName>" in body


@pytest.mark.parametrize(
    "merges",
    [
        pytest.param([], id="none"),
        pytest.param([MERGE] * 201, id="more than 200"),
        pytest.param([Merge("Contact", MASTER, ())], id="without a loser"),
        pytest.param([Merge("Contact", MASTER, (LOSER, OTHER, LOSER))], id="with three losers"),
        pytest.param([Merge("Product2", MASTER, (LOSER,))], id="of what cannot be merged"),
    ],
)
def test_what_would_be_refused_as_a_whole_is_not_sent(merges):
    with pytest.raises(ValueError, match="do not go into one"):
        soap.merge_body("t", merges)


def test_every_merge_has_its_own_answer():
    told = results(
        f"<id>{MASTER[:15]}</id><mergedRecordIds>{LOSER}</mergedRecordIds><success>true</success>",
        "<errors><fields>LastName</fields><message>entity is deleted</message>"
        "<statusCode>ENTITY_IS_DELETED</statusCode></errors><success>false</success>",
        "<success>false</success>",
    )

    written, refused, silent = soap.merge_acks(told, [MERGE] * 3)

    assert Written(MASTER, created=False) == written
    assert Refused("ENTITY_IS_DELETED", "entity is deleted", ("LastName",)) == refused
    assert isinstance(silent, Refused)


_BOMB = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><x>&b;</x>'


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(ENVELOPE.format("<mergeResponse><result>").encode()[:-20], id="cut off"),
        pytest.param(b"<html>Maintenance</html>", id="a page from in between"),
        pytest.param(_BOMB, id="a document type with entities"),
        pytest.param(b"<a>" * 5_000 + b"</a>" * 5_000, id="a bottomless tree"),
        pytest.param(results("<success>true</success>", "<success>true</success>").body, id="too many"),
    ],
)
def test_an_answer_that_cannot_be_read_leaves_the_outcome_open(body):
    with pytest.raises(Transient) as told:
        soap.merge_acks(HttpAnswer(200, {}, body), [MERGE])

    assert told.value.outcome_unknown


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        pytest.param(
            fault("sf:INVALID_SESSION_ID", "INVALID_SESSION_ID: Invalid Session ID"),
            SessionExpired,
            id="session",
        ),
        pytest.param(
            fault("sf:REQUEST_LIMIT_EXCEEDED", "REQUEST_LIMIT_EXCEEDED: TotalRequests Limit exceeded."),
            LimitReached,
            id="the day's calls are used up",
        ),
        pytest.param(fault("sf:SERVER_UNAVAILABLE", "SERVER_UNAVAILABLE: later"), Transient, id="later"),
        pytest.param(fault("soapenv:Client", "no such element"), BadRequest, id="a request that is wrong"),
        pytest.param(HttpAnswer(503, {}, b"<html>down</html>"), Transient, id="a page of the edge"),
    ],
)
def test_a_fault_reads_as_the_same_error_of_rest(told, kind):
    assert isinstance(soap.failure(told), kind)
