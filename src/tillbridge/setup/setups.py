"""The set-ups of an installation: how each stands, and what its steps do to its home.

A connection's settings are unsaid until both sides are connected. From then on
they are its configuration, and the connection stands still, marked as being set
up, until somebody lets it go live: everything that looks at a connection works on
it meanwhile, and nothing is carried.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tillbridge import config as configuration
from tillbridge import draft, installation, rewriting
from tillbridge.actions import Actions
from tillbridge.draft import Done, Draft
from tillbridge.engine.backfill import mark_start
from tillbridge.model.clock import Clock
from tillbridge.model.errors import Busy, ConfigurationInvalid, Halted
from tillbridge.secrets import SealedSecrets, Vault, open_vault, replace_file
from tillbridge.setup import dropping, steps
from tillbridge.setup.errands import Errand, Errands
from tillbridge.setup.steps import State
from tillbridge.store.service import Service
from tillbridge.wiring import Parts, open_home, open_state

# What a connection is stopped with until it goes live.
BEING_SET_UP = "it is being set up"

_HEADER = "# Tillbridge: which till joins which CRM. What each setting means is in the settings reference.\n"


@dataclass(frozen=True, slots=True)
class Standing:
    """How a set-up stands."""

    name: str
    begun: bool
    is_live: bool
    done: Mapping[str, Done]
    states: Mapping[str, State]

    @property
    def next(self) -> str:
        """Return the step to do next."""
        return next((name for name, state in self.states.items() if state == "next"), steps.LIVE)

    def missing(self, step: str) -> list[steps.Step]:
        """Return what has to be done before a step."""
        return steps.missing(step, self.done)


class Setups:
    """All set-ups of one installation, as one console sees them."""

    def __init__(
        self, folder: Path, service: Service, actions: Actions, clock: Clock, env: Mapping[str, str]
    ) -> None:
        self.folder, self.clock, self.env = folder, clock, env
        self._service, self._actions = service, actions
        self.errands = Errands()

    # --- which there are ---------------------------------------------------------------------

    def all(self) -> list[Standing]:
        """Return every set-up, finished or not."""
        names = [installation.DEFAULT] if self._is_begun(self.folder) else []
        inside = self.folder / installation.CONNECTIONS
        if inside.is_dir():
            names += [home.name for home in sorted(inside.iterdir()) if self._is_begun(home)]
        return [self.standing(name) for name in names]

    def _is_begun(self, home: Path) -> bool:
        return (home / draft.FILE_NAME).is_file() or home in installation.connections(self.folder).values()

    def home(self, name: str) -> Path:
        """Return where a connection lives or is to live. Raises ConfigurationInvalid for a bad name."""
        if not installation.is_name(name):
            text = "a name begins with a small letter or digit and holds 40 of a-z, 0-9, - and _ at most"
            raise ConfigurationInvalid([("name", text)])
        return installation.place_for(self.folder, name)

    def is_known(self, name: str) -> bool:
        """Say whether a set-up of that name was begun, or is not needed any more."""
        return installation.is_name(name) and self._is_begun(self.home(name))

    def begin(self, name: str) -> None:
        """Begin to set up another connection. Raises ConfigurationInvalid."""
        home = self.home(name)
        if self.is_known(name):
            raise ConfigurationInvalid([("name", f"there is a connection called {name} already")])
        if name == installation.DEFAULT and installation.connections(self.folder):
            text = f"{name} is the name of the folder's own connection; choose another"
            raise ConfigurationInvalid([("name", text)])
        for each in (home.parent, home):
            if each != self.folder.parent:
                each.mkdir(mode=0o700, exist_ok=True)
        open_vault(home, self.env)
        with draft.changing(home) as kept:
            kept.begun_at = self.now()

    def drop(self, name: str) -> None:
        """Forget a set-up that never went live, with all that is kept of it here. Raises Halted, Busy."""
        if under_way := self.errands.under_way(name):
            raise Busy(
                f"“{steps.BY_NAME[under_way[0]].title}” is still at work; drop it when that has ended."
            )
        dropping.drop(self.folder, name, self._service, self.clock, self.env)
        self.errands.forget(name)

    def check_open(self, name: str, step: str) -> None:
        """Raise Halted when other steps have to be done before this one."""
        if missing := self.standing(name).missing(step):
            first = " and ".join(f"“{each.title}”" for each in missing)
            raise Halted(f"Not yet: {first} {'comes' if len(missing) == 1 else 'come'} before that.")

    def standing(self, name: str) -> Standing:
        """Return how a set-up stands."""
        home = self.home(name)
        kept = draft.read(home)
        if kept is None or (not kept.begun_at and self.is_written(name)):
            # Made at the command line: all of it was done there.
            done = {step.name: Done(at=0.0, by="the command line") for step in steps.STEPS}
            is_there = self.is_written(name)
            return Standing(
                name, is_there, is_there, done if is_there else {}, steps.states(done if is_there else ())
            )
        return Standing(name, True, kept.live_at is not None, kept.done, steps.states(kept.done))

    def kept(self, name: str) -> Draft:
        """Return what is remembered of a set-up."""
        return draft.read(self.home(name)) or Draft()

    def now(self) -> float:
        """Return the present moment."""
        return self.clock.now().timestamp()

    # --- settings and secrets ----------------------------------------------------------------

    def is_written(self, name: str) -> bool:
        """Say whether the connection has a configuration."""
        return name in installation.connections(self.folder)

    def bound(self, name: str, fact: str) -> Any:
        """Return what the connection's state is tied to; None: to nothing yet, or there is no connection."""
        if not self.is_written(name):
            return None
        state = open_state(self.home(name), self.clock, self.env)
        try:
            return state.fact(fact)
        finally:
            state.close()

    def settings(self, name: str) -> dict[str, Any]:
        """Return the connection's settings as they are written; secrets are named, not told."""
        if self.is_written(name):
            return rewriting.read(self.home(name))[0]
        return deepcopy(self.kept(name).settings)

    def set(self, name: str, changes: Mapping[tuple[str, ...], Any]) -> None:
        """Change settings. Raises ConfigurationInvalid with every mistake."""
        home = self.home(name)
        if self.is_written(name):
            rewriting.write(home, changes, self.env)
            # Secrets may have changed under settings that say the same: those who keep it open look again.
            os.utime(home / configuration.FILE_NAME)
            return
        with draft.changing(home) as kept:
            for path, value in changes.items():
                _put(kept.settings, path, value)
            if "refresh_token" in kept.settings.get("lightspeed", {}) and "auth" in kept.settings.get(
                "salesforce", {}
            ):
                self._write(name, home, kept)

    def _write(self, name: str, home: Path, kept: Draft) -> None:
        """Make a configuration of what was said so far, of a connection that stands still."""
        path = home / configuration.FILE_NAME
        before = path.read_text(encoding="utf-8") if path.exists() else _HEADER
        changes: dict[tuple[str, ...], Any] = {
            (table, key): value for table, held in kept.settings.items() for key, value in held.items()
        }
        text = rewriting.changed(before, changes)
        configuration.parse(text, home, self.env)
        # First: whoever serves the installation must not begin with what is not looked at yet.
        self._service.stop(name, BEING_SET_UP, self.now())
        replace_file(path, text)
        kept.settings = {}

    def vault(self, name: str) -> Vault:
        """Return what seals a connection's secrets."""
        return open_vault(self.home(name), self.env)

    def seal(self, name: str, secrets: Mapping[str, str]) -> None:
        """Seal secrets; an empty one leaves what is sealed as it is."""
        sealed = SealedSecrets(self.home(name), self.vault(name))
        for each, value in secrets.items():
            if value:
                sealed.set(each, value)

    def promote(self, name: str, *secrets: str) -> None:
        """Let secrets that were put aside take their places, now that they have let us in."""
        sealed = SealedSecrets(self.home(name), self.vault(name))
        for each in secrets:
            if (value := sealed.get(aside(each))) is not None:
                sealed.set(each, value)
                sealed.remove(aside(each))

    def forget_secrets(self, name: str, *secrets: str) -> None:
        """Forget secrets."""
        sealed = SealedSecrets(self.home(name), self.vault(name))
        for each in secrets:
            sealed.remove(each)

    def secret_of(self, name: str, secret: str, client_id: str, *, table: str, found: str) -> str | None:
        """Return the sealed secret that belongs to a client: what was put aside for it, or what is in use.

        `table` is the client's in the settings, `found` what was last said of it.
        """
        if (self.found(name, found) or {}).get("client_id") == client_id and (
            waiting := self.unsealed(name, aside(secret))
        ):
            return waiting
        written = self.settings(name).get(table, {}).get("client_id")
        return self.unsealed(name, secret) if str(written) == client_id else None

    def unsealed(self, name: str, secret: str) -> str | None:
        """Open a secret, to log in with it. It never goes to a browser."""
        return SealedSecrets(self.home(name), self.vault(name)).get(secret)

    def sealed(self, name: str) -> frozenset[str]:
        """Return the names of what is sealed."""
        return frozenset(SealedSecrets(self.home(name), self.vault(name)).names())

    def allows_simulators(self) -> bool:
        """Say whether the installation may be led to simulators on this machine."""
        return installation.service_settings(self.folder, self.env).simulators

    # --- steps -------------------------------------------------------------------------------

    def done(self, name: str, step: str, by: str, note: str = "", *, changed: bool = True) -> None:
        """Note that a step is done. What it changed outdates others, unless the connection lives."""
        with draft.changing(self.home(name)) as kept:
            self._adopt(name, kept)
            kept.done[step] = Done(at=self.now(), by=by, note=note)
            if kept.live_at is None and changed:
                for each in steps.BY_NAME[step].outdates:
                    kept.done.pop(each, None)

    def undone(self, name: str, *names: str) -> None:
        """Note that steps have to be done again."""
        with draft.changing(self.home(name)) as kept:
            self._adopt(name, kept)
            for each in names:
                kept.done.pop(each, None)

    def _adopt(self, name: str, kept: Draft) -> None:
        """Take a connection that was made at the command line for one whose set-up is over.

        Raises Halted where there is neither: what was dropped meanwhile does not begin anew by itself.
        """
        if kept.begun_at:
            return
        if not self.is_written(name):
            raise Halted(f"The set-up of {name} was dropped meanwhile; nothing of this step is kept.")
        kept.begun_at = kept.live_at = self.now()
        kept.done = {step.name: Done(at=0.0, by="the command line") for step in steps.STEPS}

    def keep(self, name: str, what: str, found: Any) -> None:
        """Keep what a step has found; None: forget it."""
        with draft.changing(self.home(name)) as kept:
            self._adopt(name, kept)
            if found is None:
                kept.found.pop(what, None)
            else:
                kept.found[what] = found

    def found(self, name: str, what: str) -> Any:
        """Return what a step has found."""
        return self.kept(name).found.get(what)

    # --- looking and doing -------------------------------------------------------------------

    @contextmanager
    def looking(self, name: str) -> Iterator[Parts]:
        """Open a connection to look at both sides for a page: whoever waits is told within seconds."""
        with self._actions.holding.looking(self.home(name)) as parts:
            yield parts

    @contextmanager
    def parts(self, name: str, progress: Errand | None = None) -> Iterator[Parts]:
        """Open a connection to look at both sides; nobody is kept from anything meanwhile."""
        parts = open_home(self.home(name), clock=self.clock, env=self.env, progress=progress)
        try:
            yield parts
        finally:
            parts.close()

    def errand(self, name: str, what: str, work: Callable[[Errand], None]) -> Errand:
        """Begin something that takes a while."""
        return self.errands.start(name, what, work)

    def go_live(self, name: str, by: str, wanted: Mapping[tuple[str, str], float]) -> None:
        """Let the connection begin: the history first if there is any to load, and live from this moment."""
        self.check_open(name, steps.LIVE)
        if self.standing(name).is_live:
            raise Halted(f"{name} is live already; what rests there goes on under Runs.")
        with self._actions.holding.connected(name, "backfill") as connection:
            # From here on the polls take over; what is older belongs to the load, and is marked as history.
            mark_start(connection)
        now = self.now()
        self._service.plan_streams(name, wanted, now)
        self._service.go_on(name)
        for kind in ("poll", "backfill"):
            self._service.wish(name, kind, None, now)
        with draft.changing(self.home(name)) as kept:
            kept.live_at = kept.live_at or now
            kept.done[steps.LIVE] = Done(at=now, by=by)


def aside(secret: str) -> str:
    """Return the name under which a secret waits until it has let us in; what runs uses the old one."""
    return f"{secret}.next"


def as_text(written: object) -> str:
    """Return a setting as it is written; one that names a variable is not told."""
    return str(written) if isinstance(written, str | int) else ""


def _put(settings: dict[str, dict[str, Any]], path: tuple[str, ...], value: Any) -> None:
    at: dict[str, Any] = settings
    for name in path[:-1]:
        at = at.setdefault(name, {})
    if value is None:
        at.pop(path[-1], None)
    else:
        at[path[-1]] = value
