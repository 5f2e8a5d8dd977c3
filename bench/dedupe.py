"""How fast and how rightly duplicates are found: a whole chain's people of both sides, against the truth.

Measured is the scan itself: from records as the connectors hand them over, to clusters with evidence and
proposals. Reading them over the wire is not in it: that takes as long as the vendors' pages take.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import msgspec

from bench.matching import REGION, customers_of
from tillbridge.connectors.salesforce.people_question import PeopleQuestion
from tillbridge.engine.dedupe import crm_member, till_member
from tillbridge.model.answers import CrmPersonRow
from tillbridge.model.records import Customer
from tillbridge.model.writing import ObjectFacts
from tillbridge.simulators.retailer import Plan, Retailer
from tillbridge.simulators.retailer.world import build
from tillbridge.sync.dedupe import TIERS, Cluster, Finder, Member

_PEOPLE = ("Account", "Contact", "Lead")
_MEGABYTE = 1_024  # ru_maxrss counts kibibytes
_BATCH = 2_000  # as many as a page of the CRM


def measure(*, customers: int, model: str = "person_account", seed: int = 1) -> dict[str, Any]:
    """Scan one generated chain and hold what is found against the truth.

    The chain is made by a process of its own, so that the memory measured is the scan's.
    """
    with tempfile.NamedTemporaryFile(suffix=".msgpack") as file:
        made = [sys.executable, "-m", "bench.dedupe", str(customers), model, str(seed), file.name]
        subprocess.run(made, check=True)
        chain = Path(file.name)
        counts = {"customers": 0, "people": 0}
        wall, cpu = time.monotonic(), time.process_time()
        finder = Finder()
        for kind, zones, records in _batches(chain):
            members = [_member(each, zones) for each in records]
            counts[kind] += len(members)
            for member in members:
                if member is not None:
                    finder.add(member)
        spent = time.monotonic() - wall
        clusters = finder.clusters()
        measured = {
            **counts,
            "seconds": time.monotonic() - wall,
            "seconds_of_keys": spent,
            "cpu": time.process_time() - cpu,
            "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _MEGABYTE,
        }
        return {**measured, **judged(clusters, _truth(chain))}


def _member(record: Customer | CrmPersonRow, zones: list[str]) -> Member | None:
    if isinstance(record, Customer):
        return till_member(record, zones, REGION, f"1-C{record.id}")
    return crm_member(record, REGION)


# --- the chain, as a file ------------------------------------------------------------------------


class Chain(msgspec.Struct):
    """Whom a file holds: who is who, and which of the till's customers are put away."""

    zones: list[str]
    person_of_customer: dict[int, int]
    person_of_crm: dict[str, int]
    archived: list[str]


def make(customers: int, model: str, seed: int, file: Path) -> None:
    """Write a chain's people: a line of truth, then batches of records as the connectors hand them over."""
    retailer = build(
        Plan(seed=seed, customers=customers, sales=0, crm_model=model),  # type: ignore[arg-type]
        with_sales=False,
    )
    tills, people = customers_of(retailer), list(_people(retailer))
    chain = Chain(
        [row["timeZone"] for row in retailer.till["Shop"]],
        retailer.truth.person_of_customer,
        retailer.truth.person_of_crm,
        [each.id for each in tills if each.archived],
    )
    with file.open("wb") as out:
        for blob in (
            msgspec.msgpack.encode(chain),
            *(msgspec.msgpack.encode(part) for part in _parts(tills)),
            b"",
            *(msgspec.msgpack.encode(part) for part in _parts(people)),
        ):
            out.write(len(blob).to_bytes(8, "big") + blob)


def _parts(records: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(records), _BATCH):
        yield records[start : start + _BATCH]


def _blobs(file: Path) -> Iterator[bytes]:
    with file.open("rb") as source:
        while size := source.read(8):
            yield source.read(int.from_bytes(size, "big"))


def _truth(file: Path) -> Chain:
    return msgspec.msgpack.decode(next(_blobs(file)), type=Chain)


def _batches(file: Path) -> Iterator[tuple[str, list[str], list[Any]]]:
    kind, kinds = "customers", {"customers": list[Customer], "people": list[CrmPersonRow]}
    blobs = _blobs(file)
    zones = msgspec.msgpack.decode(next(blobs), type=Chain).zones
    for blob in blobs:
        if blob:
            yield kind, zones, msgspec.msgpack.decode(blob, type=kinds[kind])
        else:
            kind = "people"


# --- the judgement -------------------------------------------------------------------------------


def judged(clusters: list[Cluster], truth: Chain) -> dict[str, Any]:
    """Count the pairs that are rightly and wrongly together, by tier, and the true pairs that were found."""
    archived = set(truth.archived)

    def who(member: Member) -> int:
        if member.side == "till":
            return truth.person_of_customer[int(member.id)]
        return truth.person_of_crm[member.id]

    pairs: Counter[tuple[str, bool]] = Counter()
    wrong: list[str] = []
    found: Counter[str] = Counter()
    for cluster in clusters:
        sure = [member for member in cluster.members if member.ref not in cluster.unsure]
        for one, other in combinations(sure, 2):
            right = who(one) == who(other)
            pairs[cluster.tier, right] += 1
            if not right and cluster.is_sure:
                wrong.append(f"{one.ref} and {other.ref}: {cluster.tier}")
        for one, other in combinations([m for m in cluster.members if m.side == "till"], 2):
            if who(one) == who(other):
                is_sure = cluster.is_sure and not {one.ref, other.ref} & set(cluster.unsure)
                found["sure" if is_sure else "look"] += 1
    of_person = Counter(
        person for customer, person in truth.person_of_customer.items() if str(customer) not in archived
    )
    true_pairs = sum(count * (count - 1) // 2 for count in of_person.values())
    return {
        "clusters": len(clusters),
        "look": sum(not cluster.is_sure for cluster in clusters),
        "tiers": {
            tier: {"right": pairs[tier, True], "wrong": pairs[tier, False]}
            for tier in TIERS
            if pairs[tier, True] or pairs[tier, False]
        },
        "true_pairs": true_pairs,
        "found_sure": found["sure"],
        "found_look": found["look"],
        "examples": wrong[:10],
    }


def _people(retailer: Retailer) -> Iterator[CrmPersonRow]:
    questions = {name: PeopleQuestion(_facts(name), ()) for name in _PEOPLE}
    for row in retailer.crm:
        if row.type in questions and "LastName" in row.fields:
            fields = {n: v.get("ref") if isinstance(v, dict) else v for n, v in row.fields.items()}
            person = questions[row.type].read({**fields, "Id": row.ref})
            if not person.converted:
                yield person


def _facts(name: str) -> ObjectFacts:
    return ObjectFacts(name=name, label=name, createable=True, updateable=True, fields={})


if __name__ == "__main__":
    make(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
