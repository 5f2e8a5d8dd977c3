"""The report of an erasure: what was done where, what was looked at again, what remains and why.

Both sides are read anew and the whole home directory is searched. The report
holds ids, hashes and counts, never what was erased; it is signed, so that its
holder can prove it later.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from tillbridge.engine import privacy_crm
from tillbridge.engine.connection import Connection
from tillbridge.engine.erased import bare_till, is_bare
from tillbridge.engine.privacy_crm import Left
from tillbridge.engine.subject import Subject, keys_shared, read
from tillbridge.model.customer import anonymised
from tillbridge.model.reading import Query
from tillbridge.store.erasing import has_notes
from tillbridge.store.searching import Hit

if TYPE_CHECKING:
    from tillbridge.engine.privacy import Work

KIND = "tillbridge erasure"
_AGAIN = "run the same command again"


def report(work: Work) -> dict[str, Any]:
    """Verify an erasure and report it, signed."""
    connection, case, rules = work.connection, work.case, work.office.rules
    left = list(work.left)
    checked = {
        "till": _check_till(work, left),
        "crm": _check_crm(work, left),
        "home": _check_home(work, left),
    }
    left += _by_rule(work)
    left += msgspec.convert(case.alike, list[Left])
    document: dict[str, Any] = {
        "report": KIND,
        "id": case.id,
        "erased_at": datetime.fromtimestamp(case.erased_at, UTC).isoformat(),
        "reported_at": connection.clock.now().astimezone(UTC).isoformat(),
        "till_account": connection.account.id,
        "crm_org": connection.crm.org().id,
        "rules": {"till": rules.till, "crm": rules.crm},
        "person": {"till_ids": case.till_ids, "crm": [{"object": n, "id": i} for n, i in case.crm]},
        "tombstones": case.marks,
        "done": case.steps,
        "checked": checked,
        "remains": [msgspec.to_builtins(each) for each in left],
        "finished": not any(each.open for each in left),
    }
    return {**document, "signature": work.office.holdings.sign(document)}


def _check_till(work: Work, left: list[Left]) -> dict[str, Any]:
    now = Subject(till_ids=work.case.till_ids)
    read(work.connection, now)
    bare = {i: is_bare(customer) for i, customer in now.customers.items()}
    if work.office.rules.till == "anonymise":
        left += [
            Left(
                "Lightspeed", f"customer {i}", f"it still shows something of the person; {_AGAIN}", open=True
            )
            for i, is_clean in bare.items()
            if not is_clean and not any(each.what == f"customer {i}" for each in left)
        ]
    receipts = till_receipts(work.connection, work.case.till_ids)
    noted = sorted((i for i, is_noted in receipts.items() if is_noted), key=lambda i: (len(i), i))
    if noted:
        why = "what staff wrote on a receipt is changed in Lightspeed alone; it does not come across"
        left.append(Left("Lightspeed", f"notes of receipts {', '.join(noted)}", why))
    return {"customers": bare, "receipts": len(receipts)}


def till_receipts(connection: Connection, till_ids: Collection[str]) -> dict[str, bool]:
    """Return the receipts that the till holds of somebody, and whether people wrote on them."""
    found: dict[str, bool] = {}
    for till_id in till_ids:
        for page in bare_till(connection).sales(Query(customer=till_id)):
            found.update((sale.id, has_notes(sale)) for sale in page.rows)
    return found


def _check_crm(work: Work, left: list[Left]) -> dict[str, Any]:
    connection, rule = work.connection, work.office.rules.crm
    now = Subject(till_ids=work.case.till_ids, crm={i: name for name, i in work.case.crm})
    read(connection, now)
    shown = privacy_crm.still_shown(connection, now) if rule != "keep" else {}
    refused = {each.what for each in left}
    for crm_id, fields in shown.items():
        what = f"{now.crm[crm_id]} {crm_id}"
        if what not in refused:
            why = f"it still shows something in {', '.join(fields)}; {_AGAIN}"
            left.append(Left("Salesforce", what, why, open=True))
    found = privacy_crm.receipts(connection, now)
    noted = sum(map(len, found.noted.values())) if rule != "keep" else 0
    if noted and not work.left:
        why = f"they still carry what staff wrote; {_AGAIN}"
        left.append(Left("Salesforce", f"{noted} rows of receipts", why, open=True))
    there = {i: "shown" if i in shown else "bare" if i in now.rows else "gone" for i in now.crm}
    return {"records": there, "receipts": len(found.keys), "receipt rows with texts": noted}


def _check_home(work: Work, left: list[Left]) -> dict[str, Any]:
    searched = work.office.holdings.search(work.sought, {work.case.place})
    mine = {*work.case.till_ids, *(i for _, i in work.case.crm)}
    left += [_left_of(hit, mine) for hit in searched.hits]
    why = "it was sealed with another key, so nobody can say what it holds"
    left += [Left("this home", where, why, open=True) for where in searched.unreadable]
    return {
        "payloads": searched.payloads,
        "rows": searched.rows,
        "files": searched.files,
        "looked for": {
            "names": len(work.sought.names),
            "e-mails": len(work.sought.emails),
            "phones": len(work.sought.phones),
        },
        "hits": len(searched.hits),
    }


def _left_of(hit: Hit, mine: Collection[str]) -> Left:
    held = " and ".join(hit.what)
    if hit.owners and not mine.intersection(hit.owners):  # type: ignore[attr-defined]
        return Left("this home", hit.where, f"another person's own record has the same {held}")
    if hit.where.startswith("file "):
        why = f"it holds their {held}; it is not the state's: delete it, then {_AGAIN}"
        return Left("this home", hit.where, why, open=True)
    return Left("this home", hit.where, f"it holds their {held}; {_AGAIN}", open=True)


def _by_rule(work: Work) -> list[Left]:
    """Tell what stays because it is meant to."""
    rules, case = work.office.rules, work.case
    left = []
    if rules.till != "anonymise" and case.till_ids:
        what = f"customers {', '.join(case.till_ids)}"
        left.append(Left("Lightspeed", what, f'privacy.till is "{rules.till}"'))
    records = ", ".join(f"{name} {crm_id}" for name, crm_id in case.crm)
    if rules.crm == "keep" and records:
        left.append(Left("Salesforce", records, 'privacy.crm is "keep"'))
    if rules.crm == "delete" and records:
        why = "Salesforce keeps deleted records in its recycle bin for 15 days; empty it to be rid of them"
        left.append(Left("Salesforce", records, why))
    if case.till_ids:
        why = "amounts, dates and what was bought stay, for the books; they lead to no name"
        left.append(Left("both sides", "receipts", why))
    why = (
        "we do not know them: mails, files, tasks and the field history of Salesforce, and backups made "
        "before; after restoring one of this home run `tillbridge erase replay`"
    )
    left.append(Left("elsewhere", "copies", why))
    return left


def look_alikes(connection: Connection, subject: Subject) -> list[Left]:
    """Name other records that carry the same e-mail or phone: they may be the same person."""
    living = [customer for customer in subject.customers.values() if not anonymised(customer)]
    emails = {email.address for customer in living for email in customer.emails}
    phones = {phone.number for customer in living for phone in customer.phones}
    asked = {"emails": sorted(emails), "phones": sorted(phones)}
    found = bare_till(connection).find_customers(**asked) if emails or phones else []
    others = [c.id for c in found if c.id not in subject.till_ids and not anonymised(c)]
    shared = {i: name for i, name in keys_shared(connection, subject).items() if i not in subject.crm}
    why = "it has the same e-mail or phone: if it is the same person, erase it too"
    return [
        *(Left("Lightspeed", f"customer {i}", why) for i in others),
        *(Left("Salesforce", f"{name} {i}", why) for i, name in sorted(shared.items())),
    ]
