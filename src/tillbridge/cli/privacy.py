"""`export customer` and `erase customer`: what people may ask of whoever holds their data.

An export names a person, so it goes into a file for its owner's eyes. An
erasure asks back before it begins, and ends with a report that names nobody.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tillbridge.cli import words
from tillbridge.cli.desk import Desk, noted, open_books, open_parts
from tillbridge.model.errors import ConfigurationInvalid, Halted

if TYPE_CHECKING:
    from tillbridge.engine.privacy import Office
    from tillbridge.engine.subject import Subject

_SHOWN = 30


def export_customer(desk: Desk, home: Path, text: str, out: Path | None, *, as_json: bool) -> int:
    """Write everything that is held of a person into one file."""
    from tillbridge.engine.disclosure import disclose

    with desk.screen.progress() as progress, open_parts(desk, home, progress, history=False) as parts:
        document = disclose(parts.connect(), parts.holdings, text)
    name = (document["person"]["till_ids"] or [each["id"] for each in document["person"]["crm"]])[0]
    path = out or Path(f"customer-{name}.json")
    _write(path, msgspec.json.format(msgspec.json.encode(document), indent=2))
    counts = {
        "till_records": len(document["till"]["customers"]),
        "crm_records": len(document["crm"]["records"]),
        "receipts": len(document["crm"]["receipts"]),
        "kept_here": sum(map(len, document["kept_here"]["payloads"].values())),
    }
    if as_json:
        desk.screen.document({"file": str(path), "person": document["person"], **counts})
        return words.DONE
    told = ", ".join(
        (
            words.several(counts["till_records"], "record") + " of Lightspeed",
            words.several(counts["crm_records"], "record") + " of Salesforce",
            words.several(counts["receipts"], "receipt"),
            words.several(counts["kept_here"], "entry", "entries") + " of our own",
        )
    )
    sentence = (
        f"{path.absolute()} holds everything of customer {name}: {told}. It names people: keep it safe."
    )
    desk.screen.result.print(words.plain(sentence), soft_wrap=True)
    return words.DONE


def _write(path: Path, text: bytes) -> None:
    """Write a file for its owner's eyes, over none that is there."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        mistake = f"{path} is there already; name another file with --out"
        raise ConfigurationInvalid([("--out", mistake)]) from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(text + b"\n")


def erase_customer(
    desk: Desk, home: Path, text: str, *, out: Path | None, is_sure: bool, as_json: bool
) -> int:
    """Erase a person on both sides and here; write the report."""
    from tillbridge.engine.privacy import erase, whom
    from tillbridge.erasures import keep_report, office_of, report_path

    with desk.screen.progress() as progress, open_parts(desk, home, progress, history=False) as parts:
        office = office_of(parts)
        subject = whom(office, text)
        if not is_sure and not _confirmed(desk, subject, office):
            desk.screen.note("Nothing was erased.")
            return words.WRONG
        with noted(parts, "erase"):
            report = erase(office, text)
    path = keep_report(out or report_path(home, report), report)
    if as_json:
        desk.screen.document(report)
    else:
        _show(desk, report, path)
    return words.DONE if report["finished"] else words.NEEDS_PERSON


def _confirmed(desk: Desk, subject: Subject, office: Office) -> bool:
    """Ask back: only the typed id goes on. Without anybody to ask, nothing is erased."""
    rules = office.rules
    records = [f"{name} {crm_id}" for crm_id, name in sorted(subject.crm.items())]
    tills = [f"customer {i}" for i in subject.till_ids]
    desk.screen.note(f"Lightspeed ({rules.till}): {', '.join(tills) or 'nobody'}.")
    desk.screen.note(f"Salesforce ({rules.crm}): {', '.join(records) or 'nobody'}.")
    desk.screen.note(
        f"This cannot be taken back. Type {subject.name} to erase this person; --yes asks nothing."
    )
    return sys.stdin.readline().strip() == subject.name


def _show(desk: Desk, report: Mapping[str, Any], path: Path) -> None:
    result, done, home = desk.screen.result, report["done"], report["checked"]["home"]
    state = "is erased" if report["finished"] else "is not wholly erased yet"
    names = ", ".join(report["person"]["till_ids"] or [each["id"] for each in report["person"]["crm"]])
    result.print(words.plain(f"Customer {names} {state} (erasure {report['id']})."), soft_wrap=True)
    told = [
        ("Lightspeed", f"{_count(done, 'till', 'customers')} cleared ({report['rules']['till']})"),
        (
            "Salesforce",
            (
                f"{_count(done, 'crm people', 'records')} records ({report['rules']['crm']}), "
                f"{_count(done, 'crm identities', 'identities')} identities, "
                f"texts of {_count(done, 'crm receipts', 'emptied')} receipt rows"
            ),
        ),
        (
            "here",
            (
                f"{sum(done.get('state', {}).get('rows', {}).values())} rows cleared; searched "
                f"{words.number(home['payloads'])} sealed entries, {words.number(home['rows'])} rows, "
                f"{words.number(home['files'])} files"
            ),
        ),
    ]
    for where, text in told:
        result.print(words.plain(f"  {where}: {text}"), soft_wrap=True)
    result.print("What remains:")
    ordered = sorted(report["remains"], key=lambda each: not each["open"])
    for each in ordered[:_SHOWN]:
        mark = "!" if each["open"] else "-"
        result.print(words.plain(f"  {mark} {each['where']}, {each['what']}: {each['why']}"), soft_wrap=True)
    if len(ordered) > _SHOWN:
        result.print(f"  and {words.number(len(ordered) - _SHOWN)} more, in the report")
    result.print(words.plain(f"The signed report is {path}."), soft_wrap=True)


def _count(done: Mapping[str, Any], step: str, name: str) -> int:
    return len(done.get(step, {}).get(name, ()))


def replay_erasures(desk: Desk, home: Path, file: Path | None, *, as_json: bool) -> int:
    """Erase again whom a restored backup, on whatever side, has brought back."""
    from tillbridge.engine.replay_of_erasures import replay
    from tillbridge.erasures import keep_report, office_of, report_path

    with (
        desk.screen.progress() as progress,
        open_parts(desk, home, progress, history=False) as parts,
        noted(parts, "erase replay"),
    ):
        done = replay(office_of(parts), file)
    for report in done.again:
        keep_report(report_path(home, report), report)
    is_open = [report["id"] for report in done.again if not report["finished"]]
    if as_json:
        desk.screen.document({**msgspec.to_builtins(done), "open": is_open})
    else:
        told = [f"{words.several(done.known, 'erasure')} known"]
        told += [f"{len(done.learnt)} that the state had forgotten"] * bool(done.learnt)
        told += [f"{len(done.cleared)} cleared here again"] * bool(done.cleared)
        told += [f"{len(done.again)} done again on the two sides"] * bool(done.again)
        desk.screen.result.print(words.plain(f"{', '.join(told)}."), soft_wrap=True)
        for name in is_open:
            desk.screen.result.print(f"  ! erasure {name} is not finished: see erasure-{name}.json")
    return words.NEEDS_PERSON if is_open else words.DONE


def verify_report(desk: Desk, home: Path, path: Path, *, as_json: bool) -> int:
    """Say whether a report is ours and unchanged, and whether its tombstones stand."""
    from tillbridge.engine.proof_of_erasure import KIND
    from tillbridge.store.holdings import Holdings
    from tillbridge.store.tombstones import Erasure, Tombstones
    from tillbridge.wiring import vault_for

    report = _read_report(path, KIND)
    signature = report.pop("signature")
    with open_books(desk, home) as (state, _, _):
        vault = vault_for(home, state, desk.env)
        is_ours = Holdings(state, vault, home).is_signed(report, signature)
        marks = {what: tuple(hashes) for what, hashes in report["tombstones"].items()}
        stands = Tombstones(state, vault, home).is_laid(Erasure(id=report["id"], erased_at=0, marks=marks))
    if as_json:
        desk.screen.document({"file": str(path), "signed": is_ours, "tombstones": stands})
    else:
        told = "was written here and is unchanged" if is_ours else "was changed, or written with another key"
        laid = (
            "its tombstones stand" if stands else "its tombstones are missing: run `tillbridge erase replay`"
        )
        desk.screen.result.print(words.plain(f"{path} {told}; {laid}."), soft_wrap=True)
    return words.DONE if is_ours and stands else words.NEEDS_PERSON


def _read_report(path: Path, kind: str) -> dict[str, Any]:
    try:
        report: Any = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationInvalid([("REPORT", f"there is no file {path}")]) from None
    except ValueError as error:
        raise Halted(f"{path} is no report of an erasure: it is not valid JSON.") from error
    if not isinstance(report, dict) or report.get("report") != kind or "signature" not in report:
        raise Halted(f"{path} is no report of an erasure.")
    return report
