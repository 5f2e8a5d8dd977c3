"""Word news for people: what happened, to which receipt or customer, what the target said, what to change.

Records are named by ids, ticket numbers and links, never by a person's name,
address or number, and what remotes say is cleaned of those. A message is built
once and printed as plain text or as HTML; nothing in it can break out of either.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from typing import Any
from urllib.parse import quote

from tillbridge.alerts.plan import (
    Digest,
    Disagrees,
    GaveUp,
    HeldBack,
    InTimeAgain,
    Late,
    MoreCauses,
    NewCause,
    News,
    NotProven,
    Recovered,
    Silent,
)
from tillbridge.logs import blotted
from tillbridge.model.acks import Refused
from tillbridge.store.days import HeldUp, StoreDay
from tillbridge.store.notices import Cause, Example, Pulse
from tillbridge.sync.freshness import Burning
from tillbridge.sync.problems import advice_for

# A remote's words are as long as it likes; a mail is read on a telephone.
SAID_CHARACTERS_MAX = 400
WORD_CHARACTERS_MAX = 120

# A message lists so many causes; the problems desk has all.
CAUSES_MAX = 25

_BLOT = "…"
_PERSONS = {"customer", "identity"}
_NOUNS = {"stock": ("stock level", "stock levels"), "identity": ("customer identity", "customer identities")}

# How a run ended, where it explains a silence.
_ENDINGS = {
    "limit": "The last run stopped because the API calls were used up.",
    "remote_down": "The last run stopped because Lightspeed or Salesforce could not be reached.",
    "halted": "The last run stopped and needs a person.",
    "stopped": "The last run was stopped by hand.",
    "broken": "The last run ended in a mistake of ours.",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One paragraph, or one fact under a label."""

    text: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """Where to look: an address, or a command to run where there is none."""

    text: str
    where: str
    is_command: bool = False


Part = Line | Link


@dataclass(frozen=True, slots=True)
class Message:
    """One message: a subject, and parts in groups."""

    subject: str
    groups: tuple[tuple[Part, ...], ...]


@dataclass(frozen=True, slots=True)
class Places:
    """What links can be made of: the console's address, the org's own, both or neither."""

    console_url: str | None = None
    instance_url: str | None = None

    def of_cause(self, cause: str) -> Link:
        """Return where all records of a cause are."""
        if self.console_url:
            return Link("All of them", f"{self.console_url}/problems?cause={quote(cause, safe='')}")
        return Link(
            "All of them", f"tillbridge problems --cause {shlex.quote(one_line(cause))}", is_command=True
        )

    def of_example(self, example: Example) -> Link:
        """Return where one record is."""
        thing = thing_of(example)
        if self.console_url:
            return Link(thing, f"{self.console_url}/problems/{example.problem}")
        if self.instance_url and example.crm_id:
            return Link(thing, f"{self.instance_url}/{quote(example.crm_id, safe='')}")
        return Link(thing, f"tillbridge problems show {example.problem}", is_command=True)

    def of_status(self) -> Link:
        """Return where one sees how everything stands."""
        if self.console_url:
            return Link("Where it stands", self.console_url)
        return Link("Where it stands", "tillbridge status", is_command=True)


@dataclass(frozen=True, slots=True)
class Stopped:
    """Why the last run stopped, in its own sentence; `side`: the remote that stood in the way, if known."""

    why: str
    side: str | None = None


def word(
    news: News, places: Places, *, last_outcome: str | None = None, stopped: Stopped | None = None
) -> Message:
    """Put one piece of news into words."""
    match news:
        case NewCause(cause=cause):
            return _new_cause(cause, places)
        case MoreCauses(causes=causes):
            subject = f"{_several(len(causes), 'more new cause', 'more new causes')} of refusals"
            return _listed(subject, "They came together with the ones before.", causes, places)
        case Digest(causes=causes):
            total = sum(cause.count for cause in causes)
            subject = f"still open: {_several(total, 'record')} refused for {_several(len(causes), 'cause')}"
            return _listed(subject, "You were told of these before; nothing is lost.", causes, places)
        case GaveUp(cause=cause, problems=problems):
            return _gave_up(cause, problems, places)
        case Silent(pulses=pulses):
            return _silent(pulses, places, last_outcome, stopped)
        case Recovered(pulses=pulses):
            return _recovered(pulses, places)
        case Disagrees(found=found):
            return _disagrees(found)
        case NotProven(held_up=held_up):
            return _not_proven(held_up, places)
        case HeldBack():
            return _held_back(news)
        case Late(burning=burning):
            return _late(burning, places)
        case InTimeAgain(kind=kind):
            return _in_time_again(kind, places)


def trial() -> Message:
    """Return the message that tries out a channel."""
    return Message(
        "Tillbridge: a test",
        (
            (Line("This is a test: alerts of Tillbridge reach you here."),),
            (Line("Nothing happened, and there is nothing to do."),),
        ),
    )


# --- what waits for a person -----------------------------------------------------------------------


def _held_back(held: HeldBack) -> Message:
    customers = _several(held.customers, "customer", "customers")
    why = ", ".join(reason.replace("_", " ") for reason in held.reasons)
    return Message(
        f"Tillbridge: changes of {customers} wait for you",
        (
            (
                Line(f"Changes of {customers} were held back and not written. Everything else goes on."),
                Line(why, "Why"),
            ),
            (
                Link("Look at them", f"tillbridge plans show {held.plan}", is_command=True),
                Link("Let them pass", f"tillbridge approve {held.plan}", is_command=True),
            ),
        ),
    )


# --- freshness -----------------------------------------------------------------------------------

_LATE_NOUNS = {"sale": ("receipt", "receipts"), "customer": ("customer", "customers")}

# Where the time went, and what to look at.
_STAGES = {
    "seen": "before the till was read: `tillbridge jobs` shows how often it is, and what it waits for",
    "decided": "while it was decided what to write: `tillbridge status` shows how much came at once",
    "sent": "before the call went out: `tillbridge status` shows how much came at once",
    "confirmed": "until Salesforce had answered: look at its flows and triggers on these objects",
}


def _late(burning: Burning, places: Places) -> Message:
    one, many = _LATE_NOUNS.get(burning.kind, (burning.kind, f"{burning.kind}s"))
    of = f"{burning.late:,} of {_several(burning.of, one, many)}"
    promised = f"{burning.share * 100:g} % within {span(burning.seconds)}"
    return Message(
        f"Tillbridge: {many} reach Salesforce late",
        (
            (
                Line(f"Within {span(burning.hours * 3_600)}, {of} came later than promised ({promised})."),
                Line("Nothing is lost, and nothing has to be sent again."),
            ),
            (Line(f"Most of the time passed {_STAGES[burning.stage]}.", "Where"),),
            (places.of_status(),),
        ),
    )


def _in_time_again(kind: str, places: Places) -> Message:
    _, many = _LATE_NOUNS.get(kind, (kind, f"{kind}s"))
    return Message(
        f"Tillbridge: {many} reach Salesforce in time again",
        ((Line(f"No more {many} come too late. Nothing is to be done."),), (places.of_status(),)),
    )


# --- refusals ------------------------------------------------------------------------------------


def _new_cause(cause: Cause, places: Places) -> Message:
    happened = [Line(f"Salesforce refused {_records(cause, cause.count)}. Everything else goes on.")]
    if cause.gave_up:
        happened.append(Line(_no_longer(len(cause.gave_up))))
    return Message(
        f"Tillbridge: {_records(cause, cause.count)} refused ({_code(cause)})",
        (tuple(happened), tuple(_reason(cause)), tuple(_where(cause, places))),
    )


def _gave_up(cause: Cause, problems: Sequence[int], places: Places) -> Message:
    mine = [example for example in cause.examples if example.problem in set(problems)]
    last = Line(
        "This is the last message about them. Once the cause is gone, tillbridge problems retry revives them."
    )
    shown = tuple(places.of_example(example) for example in mine)
    return Message(
        f"Tillbridge: gave up {_records(cause, len(problems))} ({_code(cause)})",
        (
            (Line(_no_longer(len(problems), _records(cause, len(problems)))), last),
            tuple(_reason(cause)),
            (*shown, places.of_cause(cause.cause)),
        ),
    )


def _no_longer(count: int, named: str = "") -> str:
    subject = named or f"{count:,} of them"
    verb = "was" if count == 1 else "were"
    return f"{subject} {verb} refused too often and {'is' if count == 1 else 'are'} no longer tried again."


def _listed(subject: str, opening: str, causes: Sequence[Cause], places: Places) -> Message:
    groups: list[tuple[Part, ...]] = [(Line(opening),)]
    for cause in causes[:CAUSES_MAX]:
        head = Line(f"{_records(cause, cause.count)}, since {moment(cause.first_at)}", _code(cause))
        given_up = [Line(_no_longer(len(cause.gave_up)))] if cause.gave_up else []
        newest = [places.of_example(example) for example in cause.examples[:1]]
        groups.append((head, *given_up, *_reason(cause), *newest, places.of_cause(cause.cause)))
    if len(causes) > CAUSES_MAX:
        groups.append((Line(f"And {_several(len(causes) - CAUSES_MAX, 'more cause')}."),))
    groups.append((places.of_status(),))
    return Message(f"Tillbridge: {subject}", tuple(groups))


def _reason(cause: Cause) -> Iterator[Line]:
    newest = cause.examples[0]
    yield Line(said(newest, cause), "Salesforce said")
    if cause.fields:
        yield Line(one_line(", ".join(cause.fields)), "Field" if len(cause.fields) == 1 else "Fields")
    yield Line(advice_for(Refused(cause.code, newest.message, cause.fields)), "What to change")


def _where(cause: Cause, places: Places) -> Iterator[Part]:
    yield from (places.of_example(example) for example in cause.examples)
    if cause.count > len(cause.examples):
        yield places.of_cause(cause.cause)


def _records(cause: Cause, count: int) -> str:
    one, many = _NOUNS.get(cause.examples[0].kind, (cause.examples[0].kind, f"{cause.examples[0].kind}s"))
    return _several(count, one, many)


def _code(cause: Cause) -> str:
    return one_line(cause.code, WORD_CHARACTERS_MAX)


def thing_of(example: Example) -> str:
    """Name a record by its numbers."""
    ticket = example.payload.get("Ticket_Number__c")
    own = f"{example.kind} {example.till_id}"
    if isinstance(ticket, str | int) and str(ticket):
        own = f"receipt {ticket} ({own})"
    elif example.sale and example.kind != "sale":
        own = f"{own} of sale {example.sale}"
    return one_line(own, WORD_CHARACTERS_MAX)


# --- streams -------------------------------------------------------------------------------------


def _silent(
    pulses: Sequence[Pulse], places: Places, last_outcome: str | None, stopped: Stopped | None
) -> Message:
    subject, told = _silence_of(stopped.side if stopped else None, _joined(pulses))
    since = [
        Line(
            f"last read {moment(pulse.polled_at)}; planned every {span(pulse.interval_seconds)}", pulse.stream
        )
        for pulse in pulses
    ]
    why = [Line(_ENDINGS[last_outcome])] if last_outcome in _ENDINGS else []
    if stopped is not None:
        why = [Line(one_line(blotted(stopped.why)), "What stood in the way")]
    return Message(
        f"Tillbridge: {subject}",
        (
            (Line(told), *since),
            (
                *why,
                Line("Nothing is lost: what changed meanwhile is read when it works again."),
                Line("`tillbridge doctor` says what stands in the way.", "What to change"),
            ),
            (places.of_status(),),
        ),
    )


def _silence_of(side: str | None, streams: str) -> tuple[str, str]:
    """Say what is silent, by the remote that stands in the way: subject and first sentence."""
    match side:
        case "Salesforce":
            return (
                f"nothing reaches Salesforce ({streams})",
                f"For too long no run could bring anything to Salesforce. In Lightspeed wait: {streams}.",
            )
        case "Lightspeed":
            return (
                f"no news of {streams} from Lightspeed",
                f"Lightspeed has not been read with success for too long: {streams}.",
            )
    return f"no news of {streams}", f"For too long no run has come to its end with news of {streams}."


def _recovered(pulses: Sequence[Pulse], places: Places) -> Message:
    return Message(
        f"Tillbridge: {_joined(pulses)} {'is' if len(pulses) == 1 else 'are'} read again",
        (
            tuple(Line(f"read again since {moment(pulse.polled_at)}", pulse.stream) for pulse in pulses),
            (Line("What changed meanwhile has been, or is being, carried across. Nothing is to be done."),),
            (places.of_status(),),
        ),
    )


def _joined(pulses: Sequence[Pulse]) -> str:
    names = [pulse.stream for pulse in pulses]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


# --- certificates --------------------------------------------------------------------------------


def _disagrees(found: StoreDay) -> Message:
    store, day = one_line(found.store, WORD_CHARACTERS_MAX), one_line(found.day)
    figures = _several(found.figures, "figure")
    receipts = _several(found.receipts, "receipt")
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in sorted(found.reasons.items()))
    return Message(
        f"Tillbridge: store {store} does not agree on {day} ({receipts})",
        (
            (
                Line(
                    f"The certificate of store {store} for {day} finds {figures} and {receipts} that differ "
                    "between Lightspeed and Salesforce."
                ),
                *([Line(reasons, "Reasons")] if reasons else []),
            ),
            (
                Link(
                    "Which they are, and why",
                    f"tillbridge certify --show {found.certificate}",
                    is_command=True,
                ),
                Link("To send them again", f"tillbridge certify --day {day} --repair", is_command=True),
            ),
        ),
    )


def _not_proven(held_up: HeldUp, places: Places) -> Message:
    return Message(
        "Tillbridge: the daily certificate cannot be made",
        (
            (
                Line(
                    f"Since {moment(held_up.since)} nobody can say whether yesterday agrees in both systems. "
                    "The next run tries again."
                ),
                Line(one_line(blotted(held_up.why)), "What stands in the way"),
            ),
            (places.of_status(),),
        ),
    )


# --- what others said ----------------------------------------------------------------------------

# The wordings behind which Salesforce repeats the value itself.
_REPEATS = (
    re.compile(r"(data value too large:)(?:.*(?=\s\(max length)|.*)", re.DOTALL | re.IGNORECASE),
    re.compile(r"(invalid email address:|email address is invalid:?).*", re.DOTALL | re.IGNORECASE),
)
_PHONES = (
    re.compile(r"(?<![\w.-])\(?\d{3}\)?[\s.-]?\d{3}[\s.-]\d{4}(?![\w-])"),
    re.compile(r"(?<![\w-])0\d[\d\s/-]{6,}\d(?![\w-])"),
)
_FREE_TEXT = re.compile(r"name|mail|phone|street|address|note|comment|memo|description", re.IGNORECASE)
_PICKLIST = "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"


def said(example: Example, cause: Cause) -> str:
    """Return the target's own words, without the values that it repeats of a person."""
    text = example.message
    for pattern in _REPEATS:
        text = pattern.sub(rf"\1 {_BLOT}", text)
    # A value that a picklist lacks is the very thing to add, and no person.
    kept = set(cause.fields) if cause.code == _PICKLIST else set()
    for value in _values(example, kept):
        text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", _BLOT, text, flags=re.IGNORECASE)
    text = blotted(text)
    for pattern in _PHONES:
        text = pattern.sub(_BLOT, text)
    return one_line(text, SAID_CHARACTERS_MAX) or "nothing that could be shown"


def _values(example: Example, kept: set[str]) -> list[str]:
    """Return what the payload says of people, the longest first; of a person also each word of it."""
    person = example.kind in _PERSONS
    found: set[str] = set()
    for name, text in _texts(example.payload):
        if name in kept or not (person or _FREE_TEXT.search(name)):
            continue
        found.add(text)
        found.update(re.findall(r"\w{3,}", text) if person else ())
    return sorted((text for text in found if len(text) > 1), key=lambda text: (-len(text), text))


def _texts(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    match value:
        case str():
            if text := value.strip():
                yield name, text
        case Mapping():
            for key, each in value.items():
                yield from _texts(each, str(key))
        case list():
            for each in value:
                yield from _texts(each, name)


def one_line(text: str, limit: int = SAID_CHARACTERS_MAX) -> str:
    """Take out whatever a terminal, a mail header or a reader's eye might obey, and cut what is too long."""
    flat = _flat(text)
    return flat if len(flat) <= limit else f"{flat[: limit - 1]}{_BLOT}"


def _flat(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def moment(epoch_seconds: float) -> str:
    """Write a moment."""
    return datetime.fromtimestamp(epoch_seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def span(seconds: float) -> str:
    """Write a span of time in its largest whole unit."""
    for size, name in ((3_600, "hour"), (60, "minute")):
        if seconds >= size and seconds % size == 0:
            return _several(int(seconds // size), name)
    return f"{seconds:g} seconds"


def _several(count: int, one: str, many: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"


# --- printing ------------------------------------------------------------------------------------


def as_text(message: Message) -> str:
    """Print a message as plain text."""
    return "\n\n".join("\n".join(map(_text_line, group)) for group in message.groups if group) + "\n"


def _text_line(part: Part) -> str:
    match part:
        case Line(text=text, label=label):
            return f"{label}: {_flat(text)}" if label else _flat(text)
        case Link(text=text, where=where):
            return f"{_flat(text)}: {_flat(where)}"


def as_html(message: Message) -> str:
    """Print a message as a small HTML page. Nothing from outside reaches it unescaped."""
    paragraphs = "\n".join(f"<p>{_html_lines(group)}</p>" for group in message.groups if group)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{_html(message.subject)}</title></head>\n<body>\n{paragraphs}\n</body></html>\n"
    )


def _html_lines(group: Iterable[Part]) -> str:
    return "<br>\n".join(map(_html_line, group))


def _html_line(part: Part) -> str:
    match part:
        case Line(text=text, label=label):
            return f"<b>{_html(label)}:</b> {_html(text)}" if label else _html(text)
        case Link(text=text, where=where, is_command=True):
            return f"{_html(text)}: <code>{_html(where)}</code>"
        case Link(text=text, where=where):
            return f'<a href="{_html(where)}">{_html(text)}</a>'


def _html(text: str) -> str:
    return escape(_flat(text))
