"""How well people are matched, measured on the generator's truth: precision and recall for each rule.

    python bench/matching.py --customers 2000 --seeds 3

A rule may link by itself only at a precision of 0.999 or better; the defaults in `sync.match.MatchRules` come
from here. Also printed: that of the people who are in the CRM already none is created again and none is
linked to somebody else. Exit status 1 when that does not hold.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from tillbridge.connectors.salesforce.people_question import PeopleQuestion
from tillbridge.model.customer import anonymised, customer_facts
from tillbridge.model.records import Address, Customer, Email, Phone
from tillbridge.model.writing import ObjectFacts
from tillbridge.simulators.retailer import Plan, Retailer
from tillbridge.simulators.retailer.world import build
from tillbridge.sync.fieldmap import CUSTOMER_MODELS, CustomerModel
from tillbridge.sync.match import (
    Candidate,
    Create,
    Decision,
    Link,
    Person,
    Review,
    candidate_of,
    match_batch,
    match_keys,
    person_of,
)

REGION = "US"
PRECISION_MIN = Decimal("0.999")


def main() -> int:
    """Measure, print, judge."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--customers", type=int, default=2000)
    asked.add_argument("--seeds", type=int, default=1)
    asked.add_argument("--model", choices=CUSTOMER_MODELS, action="append")
    given = asked.parse_args()
    tally = Tally()
    for model in given.model or CUSTOMER_MODELS:
        for seed in range(1, given.seeds + 1):
            measure(given.customers, seed, model, tally)
    return tally.report()


def measure(customers: int, seed: int, model: CustomerModel, tally: Tally) -> None:
    """Match one generated world and count what came of it."""
    retailer = build(Plan(seed=seed, customers=customers, sales=0, crm_model=model), with_sales=False)
    people, account = customers_of(retailer), str(retailer.plan.account_id)
    candidates = candidates_of(retailer)
    index: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        for key in match_keys(candidate):
            index[key].append(candidate)

    def look_up(keys: set[str]) -> Sequence[Candidate]:
        found = {each.id: each for key in keys for each in index.get(key, ())}
        return list(found.values())

    zones = [row["timeZone"] for row in retailer.till["Shop"]]
    started = time.process_time()
    persons = [
        person_of(each, customer_facts(each, zones, REGION), f"{account}-C{each.id}")
        for each in people
        if not anonymised(each)
    ]
    decided = match_batch(persons, look_up, created)
    tally.seconds += time.process_time() - started
    tally.count(decided, retailer)


def created(person: Person) -> Candidate:
    """Say what a created customer looks like in the CRM: itself, ours, linked."""
    return Candidate(
        id=f"new-{person.id}",
        first=person.first,
        last=person.last,
        company=person.company,
        emails=person.emails[:1],
        phones=person.phones,
        street=person.street,
        zip=person.zip,
        city=person.city,
        birth_date=person.birth_date,
        external_ids=person.external_ids,
        linked_to=(person.id,),
        ours=True,
    )


class Tally:
    """Counts over all worlds."""

    def __init__(self) -> None:
        self.people = 0
        self.seconds = 0.0
        self.linked: Counter[tuple[str, bool, bool]] = Counter()  # rule, second, right
        self.ways: Counter[tuple[str, str, bool]] = Counter()  # rule, how the names compare, right
        self.reviews: Counter[str] = Counter()
        self.known: Counter[str] = Counter()  # what became of till people who are in the CRM
        self.found: Counter[str] = Counter()  # rule -> those linked to their record of the CRM
        self.again: list[str] = []
        self.wrong: list[str] = []
        self.split = 0  # till duplicates that became two people

    def count(self, decided: list[tuple[Person, Decision]], retailer: Retailer) -> None:
        """Hold every decision against the truth."""
        truth = retailer.truth
        in_crm = {
            person
            for ref, person in truth.person_of_crm.items()
            if ref not in truth.look_alikes
            and ref not in truth.without_evidence
            and truth.spelling_of_crm.get(ref) != "converted_lead"
        }
        created_for: dict[int, str] = {}
        self.people += len(decided)
        for person, decision in decided:
            who = truth.person_of_customer[int(person.id)]
            match decision:
                case Link():
                    target = decision.candidate.id
                    right = self._who(target, retailer) == who
                    self.linked[decision.rule, decision.second, right] += 1
                    self.ways[decision.rule, decision.evidence.partition("; ")[2], right] += 1
                    if not right:
                        self.wrong.append(f"customer {person.id} -> {target}: {decision.evidence}")
                    outcome = "linked" if right and not target.startswith("new-") else "linked elsewhere"
                    self.found[decision.rule] += int(outcome == "linked" and who in in_crm)
                case Review():
                    self.reviews[decision.reason] += 1
                    outcome = "review"
                case Create():
                    outcome = "created"
                    if who in in_crm:
                        self.again.append(
                            f"customer {person.id}: {[each.text for each in decision.rejected]}"
                        )
                    if who in created_for:
                        self.split += 1
                    created_for[who] = person.id
            if who in in_crm:
                self.known[outcome] += 1

    @staticmethod
    def _who(target: str, retailer: Retailer) -> int:
        if target.startswith("new-"):
            return retailer.truth.person_of_customer[int(target[4:])]
        return retailer.truth.person_of_crm[target]

    def report(self) -> int:
        """Print it all; 1 when somebody was created again or linked to somebody else."""
        print(f"{self.people} till customers matched in {self.seconds:.1f} s of CPU")
        print(f"\n{'rule':<14}{'second':<8}{'linked':>8}{'wrong':>7}{'precision':>11}")
        for rule, second in sorted({key[:2] for key in self.linked}):
            right, wrong = self.linked[rule, second, True], self.linked[rule, second, False]
            note = "" if Decimal(right) / (right + wrong) >= PRECISION_MIN else "  below 0.999: review only"
            print(
                f"{rule:<14}{second!s:<8}{right + wrong:>8}{wrong:>7}{right / (right + wrong):>11.5f}{note}"
            )
        print("\nby how the names compare")
        for rule, way in sorted({key[:2] for key in self.ways}):
            right, wrong = self.ways[rule, way, True], self.ways[rule, way, False]
            print(f"  {rule:<14}{way:<50}{right + wrong:>8}{wrong:>6} wrong")
        print("\nin review")
        for reason, number in self.reviews.most_common():
            print(f"  {reason:<70}{number:>7}")
        known = sum(self.known.values())
        print("\nrecall: of the till customers whose person is in the CRM, how many each rule links rightly")
        for rule, number in self.found.most_common():
            print(f"  {rule:<14}{number:>8}{number / known:>9.4f}")
        print(f"\ntill customers whose person is in the CRM: {known}")
        for outcome, number in self.known.most_common():
            print(f"  {outcome:<20}{number:>7}  {number / known:.4f}")
        print(f"created again: {len(self.again)}; linked to somebody else: {len(self.wrong)}")
        print(f"duplicates of the till that stayed two people: {self.split}")
        for line in (self.again + self.wrong)[:20]:
            print(f"  {line}")
        return 1 if self.again or self.wrong else 0


def customers_of(retailer: Retailer) -> list[Customer]:
    """Read the generated till rows as records, the way a connector would."""
    return [_customer(row) for row in retailer.till["Customer"]]


def _customer(row: dict[str, Any]) -> Customer:
    contact = row["Contact"]
    address = contact["Addresses"][0] if contact["Addresses"] else None
    return Customer(
        id=str(row["customerID"]),
        first_name=row["firstName"].strip() or None,
        last_name=row["lastName"].strip() or None,
        company=row["company"].strip() or None,
        birth_midnight=row["dob"],
        emails=tuple(Email(each["useType"].lower(), each["address"].strip()) for each in contact["Emails"]),
        phones=tuple(Phone(each["useType"].lower(), each["number"].strip()) for each in contact["Phones"]),
        address=Address(
            street=address["address1"] or None,
            street2=address["address2"] or None,
            city=address["city"] or None,
            zip=address["zip"] or None,
            country=address["country"] or None,
            country_code=address["countryCode"] or None,
        )
        if address
        else None,
        archived=row["archived"],
    )


_PEOPLE = ("Account", "Contact", "Lead")


def _facts(name: str) -> ObjectFacts:
    return ObjectFacts(name=name, label=name, createable=True, updateable=True, fields={})


def candidates_of(retailer: Retailer) -> list[Candidate]:
    """Read the people of the generated CRM the way the engine would: persons only, no business accounts."""
    questions = {name: PeopleQuestion(_facts(name), ()) for name in _PEOPLE}
    return [
        candidate_of(questions[row.type].read({**row.fields, "Id": row.ref}), REGION)
        for row in retailer.crm
        if row.type in questions and "LastName" in row.fields
    ]


if __name__ == "__main__":
    sys.exit(main())
