"""Make sure that a run can work before it writes anything, and say all that is wrong at once.

What the org shows of our objects is kept for a day, so that an ordinary poll
spends no call on it; a refusal that smells of a changed org throws it away.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import timedelta

import msgspec

from tillbridge.engine.connection import Connection, Progress, Settings
from tillbridge.engine.directory import Directory, home_region, kept_directory, read_directory, surroundings
from tillbridge.engine.mapbook import note_rules
from tillbridge.engine.ports import Crm, Questions, Till
from tillbridge.model.clock import Clock
from tillbridge.model.errors import ConfigurationInvalid
from tillbridge.model.writing import FieldFacts, ObjectFacts
from tillbridge.store.arrivals import Arrivals
from tillbridge.store.changes import Changes
from tillbridge.store.journal import Journal
from tillbridge.store.people import People
from tillbridge.store.plans import Plans
from tillbridge.store.raw import Raw
from tillbridge.store.spool import Spool
from tillbridge.store.state import State
from tillbridge.sync.fieldmap import BECOME, FieldMap

OBJECTS_FACT = "objects"
_FRESH = timedelta(days=1)
_ADVICE = "run `tillbridge schema deploy`, or assign the permission set Tillbridge_Integration to the user"

# Where people and products are looked for, beside the objects that the maps write to.
_ALSO_READ = ("Account", "Contact", "Lead", "Pricebook2")


def prepare(
    *,
    settings: Settings,
    till: Till,
    crm: Crm,
    questions: Questions,
    state: State,
    journal: Journal,
    people: People,
    spool: Spool,
    raw: Raw,
    changes: Changes,
    arrivals: Arrivals,
    plans: Plans,
    clock: Clock,
    rng: random.Random,
    maps: Mapping[str, FieldMap],
    progress: Progress,
    account: str,
    fresh: bool = False,
    as_kept: bool = False,
) -> Connection:
    """Check both sides and put a connection together. `fresh` reads everything again.

    `as_kept` asks the till for nothing that is kept, however old: for whoever only looks at what it showed.
    `account` is the till account that the configuration names: what is kept of another one is not used.

    Raises ConfigurationInvalid with every missing object, field and permission,
    Halted when this state belongs to another account or org.
    """
    become = [table for name, table in maps.items() if name in BECOME]
    directory = kept_directory(people)
    is_kept = directory is not None and directory.account.id == account
    if directory is None or fresh or not is_kept or not (as_kept or directory.is_fresh(clock)):
        directory = read_directory(till, state, people, clock)
    state.bind(till_account=directory.account.id, crm_org=crm.org().id)
    objects = None if fresh else _kept_objects(state, clock)
    names = {table.object for table in maps.values()}
    if objects is None or not names <= set(objects):
        objects = _describe(crm, names | set(_ALSO_READ))
        if mistakes := list(mistakes_of(maps, objects)):
            raise ConfigurationInvalid(mistakes)
        _keep_objects(state, clock, objects)
    elif mistakes := list(mistakes_of(maps, objects)):
        raise ConfigurationInvalid(mistakes)
    if settings.model == "person_account" and "IsPersonAccount" not in objects["Account"].fields:
        text = 'the org has no person accounts; set it to "contact" or "lead", or enable them in Salesforce'
        raise ConfigurationInvalid([("customers.model", text)])
    if mistake := _record_type_mistake(settings, objects[maps["customer"].object]):
        raise ConfigurationInvalid([("customers.record_type", mistake)])
    around = surroundings(directory, settings)
    connection = Connection(
        settings=settings,
        till=till,
        crm=crm,
        questions=questions,
        state=state,
        journal=journal,
        people=people,
        spool=spool,
        raw=raw,
        changes=changes,
        arrivals=arrivals,
        plans=plans,
        clock=clock,
        rng=rng,
        maps={name: table for name, table in maps.items() if name not in BECOME},
        converted={table.object: table for table in become if _is_held(table, objects)},
        account=directory.account,
        objects=objects,
        around=around,
        progress=progress,
        region=settings.phone_region or home_region(around.stores),
    )
    note_rules(connection)
    return connection


def _is_held(table: FieldMap, objects: Mapping[str, ObjectFacts]) -> bool:
    """Say whether the org holds such people at all, and our key for them."""
    held = objects.get(table.object)
    if held is None or table.key_field not in held.fields:
        return False
    return table.object != "Account" or "IsPersonAccount" in held.fields


def refresh_directory(connection: Connection) -> Directory:
    """Read the small tables again and let the connection know."""
    directory = read_directory(connection.till, connection.state, connection.people, connection.clock)
    connection.around = surroundings(directory, connection.settings)
    return directory


def forget_objects(state: State) -> None:
    """Throw away what is kept of the org: it has changed under us."""
    with state.begin() as c:
        state.keep(c, OBJECTS_FACT, None)


def objects_as_kept(state: State) -> dict[str, ObjectFacts]:
    """Return what the org has shown of our objects, however long ago; nothing before the first run."""
    kept = objects_of(state.texts([OBJECTS_FACT]).get(OBJECTS_FACT))
    return kept.objects if kept is not None else {}


def mistakes_of(maps: Mapping[str, FieldMap], objects: Mapping[str, ObjectFacts]) -> list[tuple[str, str]]:
    """Name everything that the maps write and the org does not take, with the path of the map's line."""
    mistakes: list[tuple[str, str]] = []
    for name, table in maps.items():
        if name in BECOME and not table.overridden:
            continue  # Where the org has no such people, no Lead becomes one.
        held = objects.get(table.object)
        if held is None:
            mistakes.append((f"map.{name}", f"the org shows no object {table.object}; {_ADVICE}"))
            continue
        if not held.createable:
            mistakes.append((f"map.{name}", f"the user may not create {table.object}; {_ADVICE}"))
        targets = [*table.targets, *([table.key_field] if table.key_field else [])]
        mistakes += [
            (f"map.{name}.{target}", mistake)
            for target in targets
            if (mistake := _field_mistake(target, table, held))
        ]
    return mistakes


def _field_mistake(target: str, table: FieldMap, held: ObjectFacts) -> str | None:
    field = held.fields.get(target)
    if field is None:
        # Standard fields come and go with the org's features (state picklists, person accounts):
        # a preset that names one is asked for it only when the person's own map does.
        if not target.endswith("__c") and target not in table.overridden:
            return None
        return f"{table.object} has no field {target} that the user may see; {_ADVICE}"
    if not (field.createable or field.updateable) and not _derived(field):
        return f"the user may not write {table.object}.{target}; {_ADVICE}"
    if target == table.key_field and not (field.external_id and field.unique):
        return f"{table.object}.{target} must be an external id and unique; run `tillbridge schema deploy`"
    return None


def _record_type_mistake(settings: Settings, held: ObjectFacts) -> str | None:
    wanted = settings.record_type
    if wanted is None or wanted in held.record_types:
        return None
    offered = ", ".join(sorted(held.record_types)) or "none"
    return f"{held.name} has no record type {wanted} that the user may use (it has: {offered})"


def _derived(field: FieldFacts) -> bool:
    return field.type == "id"


def _describe(crm: Crm, names: set[str]) -> dict[str, ObjectFacts]:
    found = {name: crm.describe(name) for name in sorted(names)}
    return {name: facts for name, facts in found.items() if facts is not None}


class Described(msgspec.Struct, frozen=True):
    """What the org shows of our objects, and when it was asked (our clock)."""

    read_at: float
    objects: dict[str, ObjectFacts]

    @staticmethod
    def is_fresh_at(read_at: float, clock: Clock) -> bool:
        """Say whether the org need not be asked again."""
        return clock.now().timestamp() - read_at <= _FRESH.total_seconds()


def objects_of(text: str | None) -> Described | None:
    """Read what was kept of the org; None when nothing is."""
    return msgspec.json.decode(text or "null", type=Described | None)


def _kept_objects(state: State, clock: Clock) -> dict[str, ObjectFacts] | None:
    kept = objects_of(state.texts([OBJECTS_FACT]).get(OBJECTS_FACT))
    return kept.objects if kept is not None and Described.is_fresh_at(kept.read_at, clock) else None


def _keep_objects(state: State, clock: Clock, objects: Mapping[str, ObjectFacts]) -> None:
    value = Described(clock.now().timestamp(), dict(objects))
    with state.begin() as c:
        state.keep(c, OBJECTS_FACT, msgspec.to_builtins(value))
