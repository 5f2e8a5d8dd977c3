"""A slice's run in the journal: begun with the first thing that is settled, ended with what came of it.

A quiet poll each minute is no story, and leaves nothing but the calls that it has spent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from structlog.contextvars import bind_contextvars, unbind_contextvars

from tillbridge.model.errors import Fenced, GiveWay, outcome_of
from tillbridge.store.hours import note_calls
from tillbridge.wiring import Parts


@contextmanager
def noted(
    parts: Parts, job: str, *, at_once: bool = False, for_person: bool = False
) -> Iterator[Counter[str]]:
    """Write a run down, unless nothing came of it.

    `at_once`: it stands there from its beginning, for it takes long. `for_person`: so does what a person
    waits for, who is told its number: it stays, whatever came of it.
    """
    if at_once or for_person:
        _told(parts.journal.start(job))
    else:
        parts.journal.announce(job, _told)
    till, crm = parts.till.calls, parts.crm.calls
    counts: Counter[str] = Counter()
    outcome = "broken"
    try:
        yield counts
        outcome = "done"
    except BaseException as error:
        outcome = word_of(error)
        raise
    finally:
        unbind_contextvars("run")
        if outcome != "fenced":  # It is the other one's run by now.
            spent = parts.till.calls - till, parts.crm.calls - crm
            _end(parts, outcome, counts, spent, stays=for_person)


def _told(run: int) -> None:
    """Let the log name the run from now on."""
    bind_contextvars(run=run)


def _end(parts: Parts, outcome: str, counts: Counter[str], spent: tuple[int, int], *, stays: bool) -> None:
    came = any(n for name, n in counts.items() if name != "unchanged")
    is_quiet = outcome in {"done", "gave way"} and not came and not stays
    run = parts.state.begun_run if is_quiet else parts.state.run_id
    if run is not None and is_quiet:
        parts.journal.drop(run)
    elif run is not None:
        parts.journal.end(run, outcome, counts, *spent)
    note_calls(parts.state, *spent)


def word_of(error: BaseException) -> str:
    """Return the word for how a slice ended that this error has ended."""
    match error:
        case GiveWay():
            return "gave way"
        case Fenced():
            return "fenced"
    return outcome_of(error)
