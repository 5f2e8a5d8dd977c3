"""`dedupe`: the one-time clean-up. Look for duplicates, let people decide in a table, carry it out.

Names are shown and written into the table, since whoever decides has to see whom.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tillbridge.cli import words
from tillbridge.cli.desk import Desk, noted, open_parts

if TYPE_CHECKING:
    from rich.console import Console

    from tillbridge.engine.dedupe import Work
    from tillbridge.store.dedupe import Clusters
    from tillbridge.sync.decisions import Kept
    from tillbridge.sync.dedupe import Member

_SHOWN = 20
_MISTAKES_SHOWN = 20
# A table of a million lines has some 300 bytes each.
_FILE_BYTES_MAX = 400_000_000
_WORKLIST = ("cluster", "side", "merge", "into", "open", "link", "link_of_survivor")


def run_scan(desk: Desk, home: Path, *, as_json: bool) -> int:
    """Read both sides and find what is double. Neither side is written to."""
    from tillbridge.engine.dedupe import scan
    from tillbridge.store.dedupe import Clusters

    with (
        desk.screen.progress() as progress,
        open_parts(desk, home, progress, history=False) as parts,
        noted(parts, "dedupe scan", writes=False) as counts,
    ):
        clusters = Clusters(parts.state, parts.vault)
        found = scan(parts.connect(), clusters)
        counts.update({"read": found.till + found.crm, "clusters": found.found})
        states = clusters.count()
    report = {
        "customers": found.till,
        "people": found.crm,
        "clusters": found.found,
        "sure": found.sure,
        "look": found.found - found.sure,
        "done_by_hand": found.ticked,
        "changed": found.changed,
        "states": states,
    }
    if as_json:
        desk.screen.document(report)
        return words.DONE
    result = desk.screen.result
    read = f"{words.several(found.till, 'customer')} and {words.several(found.crm, 'person', 'people')} in"
    result.print(f"{read} Salesforce were looked at; nothing was changed.", soft_wrap=True)
    if found.ticked:
        result.print(f"{words.several(found.ticked, 'record')} of the worklist are merged now.")
    if found.changed:
        one = found.changed == 1
        result.print(
            f"{words.several(found.changed, 'decision')} {'does' if one else 'do'} not stand any more: a "
            "record was changed since, and you are asked again.",
            soft_wrap=True,
        )
    if not states.get("open"):
        result.print("Nobody is there twice whom a person has not decided about.")
        return words.DONE
    told = f"{words.several(states['open'], 'cluster')} to decide about; of all {words.number(found.found)}"
    result.print(
        f"{told}, {words.number(found.sure)} look sure and the others are for a look.", soft_wrap=True
    )
    result.print("  → `tillbridge dedupe export FILE.csv` writes them into a table", style="cyan")
    return words.DONE


def show(desk: Desk, home: Path, cluster_id: str | None, *, by_hand: bool, as_json: bool) -> int:
    """Show one cluster with its evidence, the open ones, or what is left to merge by hand."""
    from tillbridge.engine.dedupe import decided, work_of

    with _clusters(desk, home) as (clusters, link):
        if by_hand:
            works = [work for kept in decided(clusters) for work in work_of(kept)[1]]
            return _show_worklist(desk, works, link, as_json=as_json)
        if cluster_id is not None:
            kept = clusters.get(cluster_id)
            if kept is None:
                desk.screen.note(f"There is no cluster {cluster_id}; `tillbridge dedupe show` lists them.")
                return words.WRONG
            found = [kept]
        else:
            found = clusters.all(["open"])
    if as_json:
        desk.screen.document({"clusters": [_told(kept, link) for kept in found]})
        return words.DONE
    result = desk.screen.result
    if not found:
        result.print("There is nothing to decide about. `tillbridge dedupe scan` looks for duplicates.")
    for kept in found[:_SHOWN]:
        _show(result, kept)
    if len(found) > _SHOWN:
        result.print(
            f"and {words.number(len(found) - _SHOWN)} more; `dedupe export` writes all.", style="dim"
        )
    return words.DONE


def export(desk: Desk, home: Path, file: Path, *, everything: bool, as_json: bool) -> int:
    """Write the clusters as CSV for a person's decisions. The file names people: for its owner's eyes."""
    from tillbridge.sync.decisions import table

    with _clusters(desk, home) as (clusters, link):
        kept = clusters.all() if everything else clusters.all(["open", "decided"])
    _write(file, "\ufeff" + table(kept, link))
    if as_json:
        desk.screen.document({"file": str(file), "clusters": len(kept)})
        return words.DONE
    result = desk.screen.result
    result.print(f"{words.several(len(kept), 'cluster')} were written to {file}.", soft_wrap=True)
    if kept:
        result.print(
            "In the column decision write merge, keep apart or look; empty is undecided. In the column "
            "survivor, yes marks the one record of each side that stays.",
            soft_wrap=True,
        )
        result.print(f"  → `tillbridge dedupe import {file}`", style="cyan", soft_wrap=True)
    return words.DONE


def import_decisions(desk: Desk, home: Path, file: Path, *, as_json: bool) -> int:
    """Take in a person's decisions: all of them, or with a mistake anywhere, none."""
    from tillbridge.cli.desk import writing_alone
    from tillbridge.sync.decisions import read

    text = _read(file)
    if text is None:
        desk.screen.note(f"{file} is no text in UTF-8, or far too long: save it as CSV, UTF-8.")
        return words.WRONG
    with writing_alone(desk, home), _clusters(desk, home) as (clusters, _):
        known = {kept.id: kept for kept in clusters.all()}
        decided, bad = read(text, known, _who(desk), desk.clock.now().timestamp())
        if not bad:
            clusters.take(decided)
    if bad:
        if as_json:
            mistakes = [{"line": each.line, "text": each.text} for each in bad]
            desk.screen.document({"taken": 0, "mistakes": mistakes})
        for each in bad[:_MISTAKES_SHOWN]:
            desk.screen.note(f"line {each.line}: {words.sentence(each.text)}")
        if len(bad) > _MISTAKES_SHOWN:
            desk.screen.note(f"and {words.number(len(bad) - _MISTAKES_SHOWN)} more mistakes.")
        desk.screen.note(f"Nothing was taken from {file}: put these lines right and import it again.")
        return words.WRONG
    states = {state: sum(kept.state == state for kept in decided) for state in ("decided", "apart", "open")}
    cleared = sum(not kept.decision.words for kept in decided)
    taken = len(decided) - cleared
    if as_json:
        desk.screen.document(
            {"taken": taken, "merge": states["decided"], "apart": states["apart"], "cleared": cleared}
        )
        return words.DONE
    desk.screen.result.print(
        f"{words.several(taken, 'cluster')} decided: {states['decided']} to merge, "
        f"{states['apart']} kept apart, {states['open'] - cleared} still to be looked at.",
        soft_wrap=True,
    )
    if cleared:
        desk.screen.result.print(
            f"{words.several(cleared, 'cluster')} undecided again: the column decision has come back empty.",
            soft_wrap=True,
        )
    if states["decided"]:
        desk.screen.result.print(
            "  → `tillbridge dedupe apply` shows what would happen, and asks", style="cyan"
        )
    return words.DONE


def run_apply(
    desk: Desk, home: Path, *, approve: bool, dry_run: bool, worklist: Path | None, as_json: bool
) -> int:
    """Merge in Salesforce what was decided, after a yes; list what people have to merge by hand."""
    from tillbridge.engine.dedupe import apply, decided, work_of
    from tillbridge.store.dedupe import Clusters

    with _clusters(desk, home) as (clusters, link):
        works = [work_of(kept) for kept in decided(clusters)]
    merges = [work for done, _ in works for work in done]
    by_hand = [work for _, left in works for work in left]
    if dry_run or not (merges or by_hand):
        return _would(desk, merges, by_hand, link, as_json=as_json)
    if merges and not approve and not _agreed(desk, merges):
        _would(desk, merges, by_hand, link, as_json=as_json)
        desk.screen.note("Nothing was merged. Say yes, or add --yes in a script.")
        return words.NEEDS_PERSON
    with (
        desk.screen.progress() as progress,
        open_parts(desk, home, progress, history=False) as parts,
        noted(parts, "dedupe apply") as counts,
    ):
        applied = apply(parts.connect(), Clusters(parts.state, parts.vault))
        counts.update({"merged": len(applied.merged), "refused": len(applied.refused)})
    if worklist is not None:
        _write(worklist, "\ufeff" + _worklist(applied.by_hand, link))
    status = words.NEEDS_PERSON if applied.refused or applied.by_hand else words.DONE
    if as_json:
        desk.screen.document(
            {
                "merged": [_work(work, link) for work in applied.merged],
                "refused": [{**_work(work, link), "why": work.why} for work in applied.refused],
                "by_hand": [_work(work, link) for work in applied.by_hand],
            }
        )
        return status
    result = desk.screen.result
    result.print(f"{words.several(len(applied.merged), 'record')} merged in Salesforce.")
    for work in applied.refused:
        result.print(words.plain(f"Not merged, cluster {work.cluster}: {work.why}"), soft_wrap=True)
    if applied.by_hand:
        _print_worklist(result, applied.by_hand, link)
    if worklist is not None:
        result.print(f"The worklist was written to {worklist}.", soft_wrap=True)
    return status


# --- surroundings --------------------------------------------------------------------------------


@contextmanager
def _clusters(desk: Desk, home: Path) -> Iterator[tuple[Clusters, Callable[[Member], str]]]:
    """Open what is kept of duplicates; no remote is asked."""
    from tillbridge import config
    from tillbridge.alerts import INSTANCE
    from tillbridge.store.dedupe import Clusters
    from tillbridge.wiring import open_state, vault_for

    till = config.load(home, desk.env).lightspeed.auth_url.rstrip("/")
    state = open_state(home, desk.clock, desk.env)
    try:
        crm = (state.fact(INSTANCE) or "").rstrip("/")

        def link(member: Member) -> str:
            if member.side == "crm":
                return f"{crm}/{member.id}"
            return f"{till}/?name=customer.views.customer&form_name=view&id={member.id}"

        yield Clusters(state, vault_for(home, state, desk.env)), link
    finally:
        state.close()


def _who(desk: Desk) -> str:
    named = map(desk.env.get, ("SUDO_USER", "USER", "LOGNAME"))
    return next(filter(None, named), "somebody at the command line")


def _agreed(desk: Desk, merges: Sequence[Work]) -> bool:
    """Ask somebody at a terminal; elsewhere there is nobody to ask."""
    people = words.several(len(merges), "record")
    desk.screen.note(
        f"{people} will be merged in Salesforce. That cannot be undone: what hangs on them moves to the "
        "survivor."
    )
    if not sys.stdin.isatty():
        return False
    desk.screen.note("Type yes to go on:")
    return sys.stdin.readline().strip().lower() == "yes"


def _write(file: Path, text: str) -> None:
    """Write a file that names people, for its owner's eyes, through nobody's link."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    os.fchmod(descriptor, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as out:
        out.write(text)


def _read(file: Path) -> str | None:
    if file.stat().st_size > _FILE_BYTES_MAX:
        return None
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        return None


# --- showing -------------------------------------------------------------------------------------


def _would(
    desk: Desk,
    merges: Sequence[Work],
    by_hand: Sequence[Work],
    link: Callable[[Member], str],
    *,
    as_json: bool,
) -> int:
    if as_json:
        told = {"would_merge": [_work(w, link) for w in merges], "by_hand": [_work(w, link) for w in by_hand]}
        desk.screen.document(told)
        return words.DONE
    result = desk.screen.result
    if not merges and not by_hand:
        result.print("Nothing is decided that is not done. `tillbridge dedupe export` begins it.")
        return words.DONE
    result.print(f"{words.several(len(merges), 'record')} would be merged in Salesforce:")
    for work in merges[:_SHOWN]:
        into = f"{work.survivor.object} {work.survivor.id} ({_name(work.survivor)})"
        result.print(
            words.plain(f"  {work.loser.id} ({_name(work.loser)}) into {into}, cluster {work.cluster}"),
            soft_wrap=True,
        )
    if len(merges) > _SHOWN:
        result.print(f"  and {words.number(len(merges) - _SHOWN)} more; --json lists all.", style="dim")
    if by_hand:
        _print_worklist(result, by_hand, link)
    return words.DONE


def _show_worklist(desk: Desk, works: Sequence[Work], link: Callable[[Member], str], *, as_json: bool) -> int:
    if as_json:
        desk.screen.document({"by_hand": [_work(work, link) for work in works]})
    elif works:
        _print_worklist(desk.screen.result, works, link)
    else:
        desk.screen.result.print("Nothing waits to be merged by hand.")
    return words.DONE


def _print_worklist(result: Console, works: Sequence[Work], link: Callable[[Member], str]) -> None:
    result.print(
        f"{words.several(len(works), 'record')} to merge by hand; the next scan ticks off what is done:"
    )
    for work in works:
        result.print(words.plain(f"  {_task(work)}"), soft_wrap=True)
        result.print(words.plain(f"    {link(work.loser)}  into  {link(work.survivor)}"), soft_wrap=True)


def _task(work: Work) -> str:
    if work.loser.side == "till":
        return (
            f"Lightspeed: merge customer {work.loser.id} ({_name(work.loser)}) into {work.survivor.id} "
            f"({_name(work.survivor)}); the one that stays is the primary"
        )
    return (
        f"Salesforce: {work.loser.object} {work.loser.id} ({_name(work.loser)}) belongs to "
        f"{work.survivor.object} {work.survivor.id}; a lead is converted into it"
    )


def _worklist(works: Sequence[Work], link: Callable[[Member], str]) -> str:
    import csv
    import io

    from tillbridge.sync.decisions import escaped

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(_WORKLIST)
    for work in works:
        cells = (work.cluster, work.loser.side, work.loser.id, work.survivor.id, _task(work))
        writer.writerow([escaped(cell) for cell in (*cells, link(work.loser), link(work.survivor))])
    return out.getvalue()


def _work(work: Work, link: Callable[[Member], str]) -> dict[str, Any]:
    return {
        "cluster": work.cluster,
        "side": work.loser.side,
        "object": work.loser.object,
        "loser": work.loser.id,
        "survivor": work.survivor.id,
        "link": link(work.loser),
        "link_of_survivor": link(work.survivor),
    }


def _told(kept: Kept, link: Callable[[Member], str]) -> dict[str, Any]:
    from tillbridge.sync.decisions import why

    cluster = kept.cluster
    return {
        "id": cluster.id,
        "state": kept.state,
        "confidence": cluster.tier,
        "doubts": cluster.doubts,
        "survivors": cluster.survivors,
        "proposed": {
            trait: {"value": each.value, "of": each.of, "why": each.why}
            for trait, each in cluster.proposed.items()
        },
        "members": [
            {
                "ref": member.ref,
                "object": member.object,
                "name": _name(member),
                "emails": member.emails,
                "phones": member.phones,
                "proposal": cluster.proposal(member.ref),
                "decision": kept.decision.words.get(member.ref),
                "why": why(kept, member.ref),
                "gone": member.ref in kept.gone,
                "link": link(member),
            }
            for member in cluster.members
        ],
    }


def _name(member: Member) -> str:
    return " ".join(filter(None, (member.first, member.last))) or member.company or "no name"


def _show(result: Console, kept: Kept) -> None:
    from rich.table import Table

    from tillbridge.sync.decisions import why

    cluster = kept.cluster
    doubts = f": {'; '.join(cluster.doubts)}" if cluster.doubts else ""
    sure = "look at it" if not cluster.is_sure else f"sure by {cluster.tier}"
    result.print()
    result.print(words.plain(f"Cluster {cluster.id}, {sure}{doubts}"), style="bold", soft_wrap=True)
    table = Table(box=None, padding=(0, 3, 0, 2), show_header=False)
    for member in cluster.members:
        stays = "stays" if member.ref in cluster.survivors.values() else cluster.proposal(member.ref)
        contact = ", ".join([*member.emails, *member.phones])
        cells = (member.ref, _name(member), contact, member.city or "", stays, why(kept, member.ref))
        table.add_row(*(words.plain(cell) for cell in cells))
    result.print(table)
    for trait, each in cluster.proposed.items():
        named = trait.replace("_", " ")
        result.print(
            words.plain(f"    {named}: {each.value} ({each.of}, {each.why})"), style="dim", soft_wrap=True
        )
