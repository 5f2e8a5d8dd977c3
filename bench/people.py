"""People whom the CRM knows already, end to end: nobody is created again, nobody is taken for somebody else.

The generator's truth is asked, which no client may see. `bench.matching` measures the rules alone; this
measures what a whole backfill leaves behind in the org.
"""

from __future__ import annotations

from datetime import UTC
from typing import Any

from bench.scene import Scene, scene, tell
from tillbridge.engine.backfill import backfill
from tillbridge.rehearsal import World
from tillbridge.simulators.retailer import Plan, Truth, build
from tillbridge.sync.fieldmap import CustomerModel


def measure(*, customers: int, sales: int, model: CustomerModel, seed: int = 1) -> dict[str, Any]:
    """Load a world and hold every link of it against the truth."""
    world = World(customers=customers, sales=sales, model=model, seed=seed)
    plan = Plan(
        seed=seed,
        shops=world.shops,
        customers=customers,
        sales=sales,
        end=world.now.astimezone(UTC),
        crm_model=model,
    )
    truth = build(plan, with_sales=False).truth
    with scene(world) as here:
        backfill(here.connection)
        found = _judged(here, truth)
        tell(f"{model}: {found['known']:,} till customers whose person the CRM knew are judged")
        return found


def recognisable(truth: Truth) -> set[int]:
    """Return the people who are in the CRM under their own record and could be told by it."""
    return {
        person
        for ref, person in truth.person_of_crm.items()
        if ref not in truth.look_alikes
        and ref not in truth.without_evidence
        and truth.spelling_of_crm.get(ref) != "converted_lead"
    }


def _judged(here: Scene, truth: Truth) -> dict[str, Any]:
    """Compare each link with who the person is; a record that we made belongs to whom it was made for."""
    refs: dict[str, str] = here.rehearsal.crm.control("GET", "refs")
    person_of = {
        crm_id: truth.person_of_crm[ref] for ref, crm_id in refs.items() if ref in truth.person_of_crm
    }
    links = here.parts.state.all_links("customer")
    in_crm = recognisable(truth)
    made_for: dict[str, int] = {}
    known = linked = again = wrong = 0
    for till_id, link in sorted(links.items(), key=lambda item: int(item[0])):
        who = truth.person_of_customer[int(till_id)]
        ours = link.crm_id not in person_of
        whose = made_for.setdefault(link.crm_id, who) if ours else person_of[link.crm_id]
        wrong += whose != who
        again += ours and who in in_crm
        linked += not ours and whose == who
    known = sum(person in in_crm for person in truth.person_of_customer.values())
    return {
        "known": known,
        "linked": linked,
        "again": again,
        "wrong": wrong,
        "review": len(here.parts.state.in_state("customer", "review", limit=1_000_000)),
        "automation": here.automation(),
    }
