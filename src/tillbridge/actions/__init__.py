"""What people do from the console and its API: each one a turn of the connection, noted as a run.

The same engine functions as the command line's, with the same sentences when
they refuse. A turn is taken in a hurry: a poll that is at work gives way, and
where another person is at it we wait a little and then say so.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import msgspec

from tillbridge import draft
from tillbridge.actions.holding import Holding, Unknown
from tillbridge.actions.outcomes import (
    Back,
    Carried,
    Chosen,
    ChosenNew,
    Erased,
    Fate,
    FieldDifference,
    Found,
    Kept,
    Kind,
    Merged,
    Previewed,
    Remains,
    Replayed,
    Retried,
    Sent,
    Side,
    StillRefused,
    TakenApart,
    TakenBack,
)
from tillbridge.engine import dedupe, desk, guard, newcomers, parting, privacy, replay, rulings, undo
from tillbridge.engine import preview as previews
from tillbridge.engine.connection import Connection, Progress, Silent
from tillbridge.engine.directory import dial_region, kept_directory
from tillbridge.engine.fates import fate
from tillbridge.engine.jobs import Job, JobFailed, Jobs, check_done
from tillbridge.engine.schedule import bring_forward
from tillbridge.engine.sync import force
from tillbridge.erasures import keep_report, office_of, report_path
from tillbridge.model.clock import Clock
from tillbridge.model.errors import Busy, Halted
from tillbridge.store.arrivals import Arrivals
from tillbridge.store.dedupe import Clusters
from tillbridge.store.journal import RESOLVED, STATES, Journal, Problem
from tillbridge.store.plans import HELD, PREVIEW
from tillbridge.store.service import Service
from tillbridge.store.state import State
from tillbridge.sync.decisions import ClusterState, decided
from tillbridge.sync.remedies import Remedy
from tillbridge.sync.safety import Entry
from tillbridge.wiring import Parts, open_home, open_state, vault_for

# So long a forced run of the service is waited for.
_FORCED_SECONDS = 60.0
_LOOK_SECONDS = 0.1


class Actions:
    """What people do with the connections of one installation."""

    def __init__(
        self,
        folder: Path,
        service: Service,
        jobs: Jobs,
        clock: Clock,
        env: Mapping[str, str],
        *,
        dead_after_seconds: float = 30.0,
    ) -> None:
        self._folder, self._service, self._jobs = folder, service, jobs
        self._clock, self._env = clock, env
        self._dead_after_seconds = dead_after_seconds
        self.holding = Holding(folder, service, clock, env, dead_after_seconds=dead_after_seconds)

    def close(self) -> None:
        """Keep no turns any more."""
        self.holding.close()

    # --- records -------------------------------------------------------------------------------

    def send(self, name: str, kind: Kind, ids: Sequence[str]) -> Sent:
        """Carry exactly these across now, changed or not."""
        wanted: dict[str, list[str]] = {kind: list(dict.fromkeys(ids))}
        draft.check_live(self.holding.home(name), name)
        if self._service.living(self._dead_after_seconds):
            return self._by_service(name, wanted)
        with self.holding.at_work(name, "sync") as (parts, connection, counts):
            delivery = force(
                connection,
                customers=wanted.get("customer", ()),
                sales=wanted.get("sale", ()),
                products=wanted.get("product", ()),
                people=wanted.get("person", ()),
            )
            counts.update(delivery.counts)
            fates = [fate(parts.state, delivery, kind, i) for i in wanted[kind]]
            return Sent(run=parts.state.run_id, records=[Fate(**each) for each in fates])

    def _by_service(self, name: str, wanted: dict[str, list[str]]) -> Sent:
        job = Job(connection=name, kind="force", gen=uuid.uuid4().hex[:12], wanted=wanted)
        self._jobs.enqueue(job)
        until = time.monotonic() + _FORCED_SECONDS
        while True:
            try:
                answer = self._jobs.result(job.id)
            except JobFailed as error:
                raise Halted(f"The service could not do it ({error}); its log says why.") from error
            if answer is not None:
                return _answered(answer)
            if time.monotonic() > until:
                raise Busy("The service has not come to it yet; it stays queued.")
            time.sleep(_LOOK_SECONDS)

    def preview_receipt(self, name: str, sale: str) -> Replayed:
        """Compare what would be sent of a receipt with what the CRM holds. Writes nothing."""
        with self.holding.at_work(name, "replay", writes=False) as (_, connection, _counts):
            found = replay.preview(connection, sale)
        return Replayed(
            sale=found.sale,
            key=found.key,
            left_out=found.left_out,
            in_crm=found.in_crm,
            fields=[FieldDifference(**msgspec.structs.asdict(row)) for row in found.fields],
        )

    # --- problems ------------------------------------------------------------------------------

    def retry(self, name: str, *, ids: Sequence[int] = (), cause: str | None = None) -> Retried:
        """Try problems again now: these, those of a cause, or with neither all that are open."""

        def decide(connection: Connection) -> list[int]:
            if ids:
                return [each.id for each in _unsolved(connection, ids)]
            return [each.id for each in connection.journal.problems(cause=cause)]

        return self._replayed(name, "retry", decide)

    def ignore(self, name: str, ids: Sequence[int], note: str | None, by: str) -> list[int]:
        """Leave problems alone from now on."""
        with self._written(name) as (state, journal):
            found = journal.problems_by_id(ids)
            _check_known(found, ids)
            chosen = [each.id for each in found.values() if each.state != RESOLVED]
            with state.begin() as c:
                journal.ignore(c, chosen, note)
                journal.remark(c, chosen, by, "ignored", note)
            return chosen

    def assign(self, name: str, ids: Sequence[int], assignee: str | None, by: str) -> list[int]:
        """Let somebody see to problems, by name; None: nobody in particular."""
        with self._written(name) as (state, journal):
            _check_known(journal.problems_by_id(ids), ids)
            with state.begin() as c:
                journal.assign(c, ids, assignee)
                journal.remark(c, ids, by, "assigned", assignee)
        return list(ids)

    def remark(self, name: str, ids: Sequence[int], text: str, by: str) -> list[int]:
        """Keep what somebody says of problems."""
        with self._written(name) as (state, journal):
            _check_known(journal.problems_by_id(ids), ids)
            with state.begin() as c:
                journal.remark(c, ids, by, "note", text)
        return list(ids)

    @contextmanager
    def _written(self, name: str) -> Iterator[tuple[State, Journal]]:
        """Open a connection's journal to write into it what no run has to wait for."""
        home = self.holding.home(name)
        state = open_state(home, self._clock, self._env)
        try:
            yield state, Journal(state, vault_for(home, state, self._env))
        finally:
            state.close()

    def edit(self, name: str, number: int, fields: Mapping[str, str], by: str) -> Retried:
        """Set fields of one record by hand and send it again; no fields take back what was set."""

        def decide(connection: Connection) -> list[int]:
            problem = _unsolved(connection, [number])[0]
            if fields:
                desk.prepare_edit(connection, problem, dict(fields))
            else:
                desk.remove_edit(connection, problem)
            with connection.state.begin() as c:
                told = ", ".join(sorted(fields)) or None
                connection.journal.remark(c, [number], by, "edited" if fields else "taken back", told)
            return [number]

        return self._replayed(name, "edit", decide)

    def fix(
        self,
        name: str,
        cause: str,
        action: Literal["replace", "default", "leave_out"],
        *,
        field: str | None = None,
        values: Mapping[str, str | None] | None = None,
        default: str | None = None,
        later: bool = False,
    ) -> Retried:
        """Decide about a cause, now and later, and send everything behind it again.

        `later`: the service sends it, while whoever decided looks on.
        """

        def decide(connection: Connection) -> list[int]:
            example = _example(connection, cause)
            named = desk.field_of_cause(example, field)
            pairs: list[tuple[str | None, str | None]] = [(None, default)]
            if action == "replace":
                pairs = [(seen, given or None) for seen, given in (values or {}).items()]
            remedies = [
                Remedy(cause=cause, object=example.object, field=named, action=action, seen=seen, given=given)
                for seen, given in pairs
            ]
            if not remedies:
                raise desk.Mistaken("Name at least one value and what is to be sent instead of it.")
            desk.prepare_fix(connection, remedies)
            return [each.id for each in connection.journal.problems(cause=cause)]

        return self._replayed(name, "fix", decide, later=later)

    def add_values(self, name: str, cause: str, field: str | None = None, *, later: bool = False) -> Retried:
        """Add to a picklist of the org what it was refused for lacking, and send everything again."""
        added: list[str] = []

        def decide(connection: Connection) -> list[int]:
            example = _example(connection, cause)
            added.extend(desk.add_values(connection, example, desk.field_of_cause(example, field)))
            return [each.id for each in connection.journal.problems(cause=cause)]

        return msgspec.structs.replace(self._replayed(name, "fix", decide, later=later), added=added)

    def undo_fix(self, name: str, cause: str) -> int:
        """Take back what was decided about a cause; return how many decisions that were."""
        with self.holding.opened(name) as parts, parts.state.begin() as c:
            return parts.journal.take_back(c, cause)

    def _replayed(
        self, name: str, job: str, decide: Callable[[Connection], Sequence[int]], *, later: bool = False
    ) -> Retried:
        # Without a service nobody would come and send it.
        later = later and bool(self._service.living(self._dead_after_seconds))
        with self.holding.at_work(name, job) as (parts, connection, counts):
            ids = decide(connection)
            if later:
                desk.release(connection, ids)
                counts["released"] += len(ids)
                self._service.wish(name, "replay", None, self._now())
                return Retried(
                    run=parts.state.run_id, released=len(ids), asked=0, accepted=0, refused=[], added=[]
                )
            done = desk.replay(connection, ids)
            counts.update(done.counts)
            left = Counter((p.cause, p.state) for p in done.refused)
            return Retried(
                run=parts.state.run_id,
                released=len(ids),
                asked=done.asked,
                accepted=len(done.accepted),
                refused=[_left(done.refused, *key, count) for key, count in left.most_common()],
                added=[],
            )

    # --- people --------------------------------------------------------------------------------

    def choose(self, name: str, till_id: str, choice: str, by: str, *, other: bool = False) -> Chosen:
        """Link a customer in review to the person chosen, or create it ("new").

        `other`: it may be somebody whom they were not shown beside.
        """
        with self.holding.at_work(name, "choose") as (_, connection, counts):
            found = desk.choose(connection, till_id, choice, by, is_candidate=not other)
            counts["chosen"] += 1
        return _chosen(till_id, found)

    def choose_new(self, name: str, till_ids: Sequence[str], by: str) -> ChosenNew:
        """Say of customers in review that nobody in the CRM is them: they are created there."""
        chosen: list[Chosen] = []
        left: dict[str, str] = {}
        with self.holding.at_work(name, "choose") as (_, connection, counts):
            for till_id in dict.fromkeys(till_ids):
                try:
                    found = desk.choose(connection, till_id, "new", by)
                except desk.Mistaken as error:
                    left[till_id] = str(error)
                    continue
                counts["chosen"] += 1
                chosen.append(_chosen(till_id, found))
        return ChosenNew(chosen=chosen, left=left)

    def choose_newcomer(self, name: str, crm_id: str, choice: str, by: str) -> Chosen:
        """Say who somebody of the CRM is in the till: a customer's number, "new" or "leave"."""
        with self.holding.at_work(name, "choose") as (_, connection, counts):
            said = newcomers.say(connection, crm_id, choice, by)
            counts["chosen"] += 1
        return Chosen(
            id=said.till_id or crm_id,
            state=said.state,
            reason=said.reason,
            object=None,
            crm_id=crm_id,
            receipts=said.attached,
        )

    def part(self, name: str, till_id: str, by: str) -> TakenApart:
        """Take a customer and a person of the CRM apart who were linked by mistake."""
        with self.holding.at_work(name, "unlink") as (_, connection, counts):
            done = parting.part(connection, till_id, by)
            counts["taken apart"] += 1
        return TakenApart(**msgspec.structs.asdict(done))

    def erase(self, name: str, who: str) -> Erased:
        """Erase a person on both sides and here; the signed report stays in the connection's folder."""
        with self.holding.at_work(name, "erase") as (parts, _, counts):
            report = privacy.erase(office_of(parts), who)
            counts["erased"] += 1
            keep_report(report_path(parts.holdings.home, report), report)
        return Erased(
            id=report["id"],
            finished=report["finished"],
            till_ids=list(report["person"]["till_ids"]),
            crm_ids=[each["id"] for each in report["person"]["crm"]],
            remains=[Remains(**each) for each in report["remains"]],
        )

    def keep(
        self,
        name: str,
        conflicts: Sequence[int],
        winner: Side,
        by: str,
        seen: Mapping[int, str] | None = None,
    ) -> Kept:
        """Say which side counts in these conflicts, and carry them. `seen`: the marks of what was shown."""
        with self.holding.at_work(name, "conflicts") as (parts, connection, counts):
            wanted = [rulings.wanted(parts.changes, number) for number in dict.fromkeys(conflicts)]
            rulings.check_seen(wanted, seen or {})
            ruled = rulings.keep(connection, wanted, winner, by)
            counts.update({"settled": len(ruled.settled), "left": len(ruled.left)})
        return Kept(
            settled=[each.id for each in ruled.settled], left={each.id: why for each, why in ruled.left}
        )

    # --- duplicates ----------------------------------------------------------------------------

    def look_for_duplicates(self, name: str, progress: Progress | None = None) -> Found:
        """Compare everybody whom both sides have shown so far; keep who is probably there twice.

        Nobody waits for the comparing, which takes half a minute of many people: the turn is taken to keep
        what it has found. No remote is asked.
        """
        compared = self._compared(name, progress or Silent())
        with self.holding.opened(name, "dedupe scan") as parts:
            run = parts.journal.start("dedupe scan")
            found = dedupe.keep_found(parts.state, Clusters(parts.state, parts.vault), compared)
            counts = Counter({"read": found.till + found.crm, "clusters": found.found})
            parts.journal.end(run, "done", counts, 0, 0)
        return Found(till=found.till, crm=found.crm, clusters=found.found, sure=found.sure)

    def _compared(self, name: str, progress: Progress) -> dedupe.Compared:
        parts = open_home(self.holding.home(name), clock=self._clock, env=self._env)
        try:
            shown = dedupe.Shown(
                account=parts.config.lightspeed.account_id,
                state=parts.state,
                people=parts.people,
                arrivals=parts.arrivals,
                rules=dedupe.rules_of(parts.settings.match, parts.settings.review),
                region=dial_region(kept_directory(parts.people), parts.settings),
            )
            return dedupe.compare_shown(shown, Clusters(parts.state, parts.vault), progress)
        finally:
            parts.close()

    def decide_duplicates(
        self, name: str, cluster: str, word: Literal["merge", "apart"], by: str
    ) -> ClusterState:
        """Say whether the records of a cluster are one person, as it proposes, or several."""
        with self.holding.opened(name) as parts:
            clusters = Clusters(parts.state, parts.vault)
            kept = clusters.get(cluster)
            if kept is None:
                raise Unknown(f"There is no cluster {cluster} of duplicates any more: look for them again.")
            said: Literal["merge", "keep apart"] = "merge" if word == "merge" else "keep apart"
            now = decided(kept, said, by, self._now())
            clusters.take([now])
            return now.state

    def check_duplicates(self, name: str, cluster: str) -> bool:
        """Read a cluster's records again; say whether everything was merged that was to be."""
        with self.holding.at_work(name, "dedupe check", writes=False) as (parts, connection, counts):
            kept = dedupe.check(connection, Clusters(parts.state, parts.vault), cluster)
            counts["checked"] += 1
        if kept is None:
            raise Unknown(f"There is no cluster {cluster} of duplicates any more: look for them again.")
        return kept.state == "done"

    def merge_duplicates(self, name: str) -> Merged:
        """Merge what was decided, as far as the CRM can; the rest stays on the list of work."""
        with self.holding.at_work(name, "dedupe apply") as (parts, connection, counts):
            done = dedupe.apply(connection, Clusters(parts.state, parts.vault))
            counts.update({"merged": len(done.merged), "refused": len(done.refused)})
        return Merged(
            merged=[f"{work.loser.id} into {work.survivor.id}" for work in done.merged],
            refused=[f"{work.loser.id}: {work.why}" for work in done.refused],
            by_hand=len(done.by_hand),
        )

    # --- plans and runs ------------------------------------------------------------------------

    def preview(self, name: str, customers: Sequence[str] = ()) -> Previewed:
        """Look at what a sync would write of customers, and keep it as a plan."""
        with self.holding.at_work(name, "preview", writes=False) as (_, connection, _counts):
            found = previews.preview(connection, tuple(dict.fromkeys(customers)))
        return Previewed(
            plan=found.plan.id if found.plan else None,
            checksum=found.plan.checksum if found.plan else None,
            entries=len(found.entries),
            skips=len(found.skips),
            unchanged=found.unchanged,
            crm_calls=found.crm_calls,
            till_calls=found.till_calls,
            holds=list(found.holds),
            more=found.more,
        )

    def apply(self, name: str, number: int, checksum: str, by: str) -> Carried:
        """Write exactly what a preview says, as far as it is still so."""
        self._check_plan(name, number, checksum, why=PREVIEW)
        with self.holding.at_work(name, "apply") as (parts, connection, counts):
            plan = previews.plan_to(connection.plans, number, checksum, why=PREVIEW)
            done = previews.apply(connection, plan, by)
            counts.update(done.counts)
            return Carried(
                plan=number,
                run=parts.state.run_id,
                counts=_counted(done.counts),
                refused=[f"{_called(entry)}: {why}" for entry, why in done.refused],
                skipped=[f"{_called(entry)}: {why}" for entry, why in done.skipped],
                held=_held(parts),
            )

    def approve(self, name: str, number: int, checksum: str, by: str) -> Carried:
        """Let a plan that was held back pass, and carry it at once."""
        self._check_plan(name, number, checksum, why=HELD)
        with self.holding.at_work(name, "approve") as (parts, connection, counts):
            previews.plan_to(parts.plans, number, checksum, why=HELD)
            ids = guard.approve(connection, number, by)
            counts.update(previews.carry_approved(connection, ids))
            return Carried(
                plan=number,
                run=parts.state.run_id,
                counts=_counted(counts),
                refused=[],
                skipped=[],
                held=_held(parts),
            )

    def _check_plan(self, name: str, number: int, checksum: str, *, why: str) -> None:
        """Refuse a plan that cannot be carried out before any remote is called."""
        with self.holding.opened(name) as parts:
            previews.plan_to(parts.plans, number, checksum, why=why)

    def drop(self, name: str, number: int) -> int:
        """Forget a plan; return how many customers are looked at afresh."""
        with self.holding.opened(name) as parts:
            plan = previews.plan_to(parts.plans, number, None, why="")
            return guard.drop(parts.state, Arrivals(parts.state, parts.vault), parts.plans, plan)

    def undo(self, name: str, run: int, *, dry: bool) -> TakenBack:
        """Take back what a run changed in customers, as far as it still shows."""
        with self.holding.at_work(name, "undo", writes=not dry) as (parts, connection, counts):
            backs, found = undo.of_run(connection, run), undo.creations(connection, run)
            if not backs and not found.created_in_crm and not found.created_in_till:
                raise undo.NothingToUndo(
                    f"Run {run} has changed no customer, or all of it is taken back already."
                )
            undo.take_back(connection, backs, found, dry=dry)
            counts["undone"] += 0 if dry else len(found.done)
            return _taken_back(found, dry=dry, run=None if dry else parts.state.run_id)

    def restore(self, name: str, change: int) -> TakenBack:
        """Write the value that a change replaced back to both sides."""
        with self.holding.at_work(name, "restore") as (parts, connection, counts):
            backs = undo.of_change(connection, change)
            found = undo.take_back(connection, backs, undo.Undone(), why=undo.RESTORED)
            counts["undone"] += len(found.done)
            return _taken_back(found, dry=False, run=parts.state.run_id)

    # --- the service ---------------------------------------------------------------------------

    def pause(self, name: str, stream: str | None, why: str) -> None:
        """Let a connection, or one of its streams, rest until it is resumed."""
        if stream is None:
            self._service.stop(name, why, self._now())
        elif not self._service.pause_streams(name, *self._named(name, stream), paused=True, why=why):
            raise Unknown(f"{name} has no stream {stream}.")

    def resume(self, name: str, stream: str | None) -> bool:
        """Let it go on; False when it did not rest."""
        if stream is None:
            # Letting it go on is the last step of its set-up.
            draft.check_live(self.holding.home(name), name)
            return self._service.go_on(name, self._now())
        if not self._service.pause_streams(name, *self._named(name, stream), paused=False, now=self._now()):
            raise Unknown(f"{name} has no stream {stream}.")
        return True

    def run_now(self, name: str, stream: str | None) -> int:
        """Let a stream, or all that have an interval, be due at once; return how many there are."""
        if stream is None:
            return bring_forward(self._service, name, None, None, self._now())
        found = bring_forward(self._service, name, *self._named(name, stream), self._now())
        if not found:
            raise Unknown(f"{name} has no stream {stream}.")
        return found

    def _named(self, name: str, stream: str) -> tuple[str, str | None]:
        """Read a stream as people name it: `sales` is `poll sales`, `sweep` a whole kind."""
        kind, _, part = stream.replace("/", " ").partition(" ")
        kinds = {each.kind for each in self._service.streams(name)}
        return (kind, part or None) if kind in kinds else ("poll", stream)

    def _now(self) -> float:
        return self._clock.now().timestamp()


def _chosen(till_id: str, found: desk.Chosen) -> Chosen:
    return Chosen(
        id=till_id,
        state=found.state,
        reason=found.reason,
        object=found.object,
        crm_id=found.crm_id,
        receipts=found.attached,
    )


def _answered(answer: Mapping[str, Any]) -> Sent:
    """Return what became of the records, or raise what the service met."""
    check_done(answer)
    return Sent(run=answer["run"], records=[Fate(**each) for each in answer["records"]])


def _check_known(found: Mapping[int, Problem], ids: Sequence[int]) -> None:
    if unknown := [str(i) for i in ids if i not in found]:
        raise Unknown(f"There is no problem {', '.join(unknown[:5])}.")


def _unsolved(connection: Connection, ids: Sequence[int]) -> list[Problem]:
    found = connection.journal.problems_by_id(ids)
    _check_known(found, ids)
    if done := [str(each.id) for each in found.values() if each.state == RESOLVED]:
        raise desk.Mistaken(f"Problem {', '.join(done[:5])} is resolved: there is nothing left to do.")
    return list(found.values())


def _example(connection: Connection, cause: str) -> Problem:
    found = connection.journal.causes(cause=cause, states=STATES)
    if not found:
        raise Unknown(f"There is no cause {cause}.")
    return found[0].example


def _left(refused: Sequence[Problem], cause: str, state: str, count: int) -> StillRefused:
    example = next(p for p in refused if (p.cause, p.state) == (cause, state))
    return StillRefused(cause=cause, state=state, count=count, message=example.message, problem=example.id)


def _counted(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}


def _called(entry: Entry) -> str:
    return f"customer {entry.till_id}" if entry.till_id else f"{entry.object} {entry.crm_id}"


def _held(parts: Parts) -> list[int]:
    return [plan.id for plan in parts.plans.in_state("open") if plan.why == HELD]


def _taken_back(found: undo.Undone, *, dry: bool, run: int | None) -> TakenBack:
    told = [(back, None) for back in found.done] + [(back, why) for back, why in found.skipped]
    return TakenBack(
        dry=dry,
        run=run,
        values=[
            Back(
                customer=back.till_id,
                field=back.field,
                side=back.side,
                to=back.value,
                why_not=why,
            )
            for back, why in told
        ],
        created_in_crm=list(found.created_in_crm),
        created_in_till=list(found.created_in_till),
    )
