"""The Lightspeed simulator as a process: one line when ready, real HTTP, gone at once on SIGTERM."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from urllib.parse import urlencode

import httpx2
import pytest

CLIENT = {"client_id": "demo-client", "client_secret": "demo-secret"}


@pytest.fixture(scope="module")
def url():
    command = [sys.executable, "-m", "tillbridge.simulators.lightspeed", "--port", "0", "--frozen-clock"]
    command += [
        "--now",
        "2026-11-20T15:00:00Z",
        "--seed",
        "3",
        "--sales",
        "120",
        "--customers",
        "60",
        "--shops",
        "2",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        word, _, origin = process.stdout.readline().strip().partition(" ")
        assert "ready" == word
        yield origin
        process.send_signal(signal.SIGTERM)
        assert 0 == process.wait(timeout=5)


@pytest.fixture
def client(url):
    with httpx2.Client(base_url=url) as http:
        body = {"grant_type": "refresh_token", "refresh_token": "demo-refresh", **CLIENT}
        token = http.post("/oauth/access_token.php", content=urlencode(body)).json()["access_token"]
        http.headers["Authorization"] = f"Bearer {token}"
        yield http


def test_a_client_reads_every_sale_over_http(client):
    target = "/API/V3/Account/190001/Sale.json?archived=true&load_relations=%5B%22SaleLines%22%5D"
    sale_ids = []
    while target:
        page = client.get(target).raise_for_status().json()
        sale_ids += [int(sale["saleID"]) for sale in page["Sale"]]
        target = page["@attributes"]["next"]
    assert len(sale_ids) > 100, "more than a page"
    assert [row["saleID"] for row in client.get("/control/dump?entity=Sale").json()] == sale_ids


def test_long_answers_travel_packed_and_the_clock_stands(client):
    response = client.get("/API/V3/Account/190001/Sale.json")
    assert "gzip" == response.headers["Content-Encoding"]
    assert "Fri, 20 Nov 2026 15:00:00 GMT" == response.headers["Date"]


def test_the_faces_faults_and_clock_work(client):
    client.post("/control/faults", json={"kind": "status", "status": 502, "match": "Shop"})
    target = "/API/V3/Account/190001/Shop.json"
    assert [502, 200] == [client.get(target).status_code for _ in range(2)]
    client.post("/control/clock", json={"advance": 60})
    assert "15:01:00" in client.get(target).headers["Date"]
    client.post("/control/clock", json={"advance": -60})


def test_sales_are_rung_up_through_the_control_api(client):
    before = client.get("/control/totals").json()
    [sale_id] = client.post("/control/ring", json={"count": 1, "kind": "sale"}).json()["saleIDs"]
    sale = json.loads(client.get(f"/API/V3/Account/190001/Sale/{sale_id}.json").content)["Sale"]
    assert "true" == sale["completed"]
    assert sum(row["count"] for row in before) + 1 == sum(
        row["count"] for row in client.get("/control/totals").json()
    )
    client.post("/control/void", json={"saleID": sale_id, "reason": "test"})
    assert before == client.get("/control/totals").json()
