"""The simulator's merge(), asked by a client of its own: what moves, what stays, what is refused."""

import re

import pytest

from tillbridge.simulators.clock import SimClock
from tillbridge.simulators.httpd import Request
from tillbridge.simulators.salesforce import build
from tillbridge.simulators.salesforce.app import SalesforceApp

NAMES = (
    'xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" xmlns="urn:partner.soap.sforce.com" '
    'xmlns:s="urn:sobject.partner.soap.sforce.com"'
)


class Door:
    def __init__(self):
        self.app: SalesforceApp = build(None, clock=SimClock(1_800_000_000.0, running=False))
        self.org = self.app.org
        form = b"grant_type=client_credentials&client_id=demo-consumer&client_secret=demo-consumer-secret"
        answer = self.ask(
            "/services/oauth2/token", form, {"content-type": "application/x-www-form-urlencoded"}
        )
        self.token = re.search(rb'"access_token": ?"([^"]+)"', answer.body)[1].decode()

    def ask(self, path, body, headers):
        return self.app.handle(Request("POST", path, path, [], headers, body, "http://org.example"))

    def merge(self, *requests, token=None, headers=None):
        body = "".join(f"<request>{each}</request>" for each in requests)
        text = (
            f"<e:Envelope {NAMES}><e:Header><SessionHeader><sessionId>{token or self.token}</sessionId>"
            f"</SessionHeader></e:Header><e:Body><merge>{body}</merge></e:Body></e:Envelope>"
        )
        headers = {"content-type": "text/xml", "soapaction": '""'} if headers is None else headers
        return self.ask("/services/Soap/u/67.0", text.encode(), headers)

    def contact(self, last, **fields):
        made = self.org.write(self.org.staff, "Contact", "insert", {"LastName": last, **fields},
                              allow_duplicates=True)  # fmt: skip
        return made.id


def request(master, *losers, kind="Contact", fields=""):
    ids = "".join(f"<recordToMergeIds>{loser}</recordToMergeIds>" for loser in losers)
    return f"<masterRecord><s:type>{kind}</s:type><s:Id>{master}</s:Id>{fields}</masterRecord>{ids}"


@pytest.fixture
def door():
    return Door()


def test_losers_go_to_the_bin_and_the_master_takes_what_it_is_given(door):
    master, one, other = (door.contact(name) for name in ("Prins", "Prinz", "Prince"))

    answer = door.merge(request(master, one, other, fields="<s:FirstName>Anna</s:FirstName>"))

    assert 200 == answer.status
    assert [one, other] == re.findall(r"<mergedRecordIds>(\w+)<", answer.body.decode())
    assert ("Anna", "Prins") == tuple(door.org.row(master)[1][n] for n in ("FirstName", "LastName"))
    assert [master, master] == [door.org.row(each)[1]["MasterRecordId"] for each in (one, other)]


def test_one_refusal_leaves_the_other_merges_alone(door):
    master, loser, gone = (door.contact(name) for name in ("Prins", "Prinz", "Vos"))
    door.org.write(door.org.staff, "Contact", "delete", {"Id": gone})

    text = door.merge(request(master, gone), request(master, loser)).body.decode()

    assert ["false", "true"] == re.findall(r"<success>(\w+)<", text)
    assert "<statusCode>ENTITY_IS_DELETED</statusCode>" in text


@pytest.mark.parametrize(
    ("kind", "losers", "fields", "code"),
    [
        pytest.param("Contact", 3, "", "INVALID_OPERATION", id="three losers"),
        pytest.param("Contact", 0, "", "INVALID_OPERATION", id="no loser"),
        pytest.param("Opportunity", 1, "", "INVALID_TYPE", id="an object that cannot be merged"),
        pytest.param("Lead", 1, "", "INVALID_CROSS_REFERENCE_KEY", id="records of another object"),
        pytest.param("Contact", 1, "<s:Nope__c>x</s:Nope__c>", "INVALID_FIELD", id="an unknown field"),
    ],
)
def test_what_is_refused(door, kind, losers, fields, code):
    master, *others = (door.contact(f"Prins{n}") for n in range(losers + 1))

    answer = door.merge(request(master, *others, kind=kind, fields=fields))

    assert f"<statusCode>{code}</statusCode>" in answer.body.decode()
    assert all(each in door.org.tables["Contact"].rows for each in others)


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        pytest.param({"token": "nobody's"}, "sf:INVALID_SESSION_ID", id="no session"),
        pytest.param({"headers": {"content-type": "text/xml"}}, "soapenv:Client", id="without SOAPAction"),
        pytest.param({"headers": {"content-type": "application/json"}}, "soapenv:Client", id="JSON"),
    ],
)
def test_a_fault_is_for_the_whole_call(door, wish, code):
    answer = door.merge(request(door.contact("A"), door.contact("B")), **wish)

    assert 500 == answer.status
    assert f"<faultcode>{code}</faultcode>" in answer.body.decode()


def test_more_than_200_requests_are_refused(door):
    answer = door.merge(*[request(door.contact("A"), door.contact("B"))] * 201)

    assert (500, True) == (answer.status, b"EXCEEDED_ID_LIMIT" in answer.body)


def test_a_document_type_is_not_read(door):
    bomb = b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>'
    answer = door.ask("/services/Soap/u/67.0", bomb, {"content-type": "text/xml", "soapaction": '""'})

    assert (500, True) == (answer.status, b"DOCTYPE is not allowed" in answer.body)


def test_a_merge_counts_as_one_call(door):
    before = door.org.usage.used()
    door.merge(request(door.contact("A"), door.contact("B")))

    assert 1 == door.org.usage.used() - before
