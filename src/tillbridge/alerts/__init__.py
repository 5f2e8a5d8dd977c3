"""Tell people, once, what needs them: read plan.py for what is told when, messages.py for the words.

`tell` is called at the end of a run, while nobody else writes. It never raises
for a channel that fails: what was not taken is told at the end of the next run.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tillbridge.alerts.channels import Channel, ChannelFailed, open_channels
from tillbridge.alerts.messages import Places, Stopped, trial, word
from tillbridge.alerts.plan import HeldBack, Plan, plan
from tillbridge.config import Alerts, Config, Freshness
from tillbridge.logs import blotted
from tillbridge.store import freshness
from tillbridge.store.days import Days
from tillbridge.store.notices import Notices, Pulse
from tillbridge.store.plans import HELD, OPEN, Plans
from tillbridge.sync.freshness import SLOW_SECONDS, Burning, Objective, burning

if TYPE_CHECKING:
    from tillbridge.store.service import Rested
    from tillbridge.store.state import State
    from tillbridge.wiring import Parts

# Where the org's own address is kept, for links, also when nobody could log in.
INSTANCE = "crm_instance"

_STOPPED = "stopped"

# What stands for a connection's streams before any was read.
_FIRST = "sales"


@dataclass(frozen=True, slots=True)
class Told:
    """What came of telling: messages that were taken, and a sentence for each channel that failed."""

    sent: int = 0
    failed: tuple[str, ...] = ()


def tell(parts: Parts, now: datetime) -> Told:
    """Tell every channel what it was not told yet."""
    alerts = parts.config.alerts
    if not has_channels(alerts):
        return Told()
    notices = Notices(parts.state, parts.vault)
    causes, pulses, days = notices.causes(), notices.pulses() or _never_read(parts), Days(parts.state)
    disagreeing, held_up, held = days.disagreeing(), days.held_up(), _held_back(parts.plans)
    places = Places(alerts.console_url, parts.state.fact(INSTANCE))
    runs = parts.journal.last_runs(1)
    outcome = runs[0].outcome if runs else None
    rested = parts.rested()
    late = _late(parts, now.timestamp(), rested)
    stopped = _stopped(parts, runs[0].id) if runs else None
    sent, failed = 0, []
    with open_channels(alerts, now) as channels:
        for channel in channels:
            due = plan(
                causes,
                pulses,
                notices.told(channel.key),
                now=now.timestamp(),
                digest_seconds=alerts.digest_hours * 3_600,
                days=disagreeing,
                held_up=held_up,
                held=held,
                late=late,
                rested=rested,
            )
            taken, sentence = _tell_one(channel, due, notices, places, outcome, stopped)
            sent += taken
            if sentence:
                failed.append(sentence)
    return Told(sent, tuple(dict.fromkeys(failed)))


def _never_read(parts: Parts) -> list[Pulse]:
    """Return the pulse of a connection that was never read with success: silent since its first failure."""
    kept = parts.state.fact(_STOPPED) or {}
    if "since" not in kept:
        return []
    return [Pulse(_FIRST, kept["since"], parts.settings.poll_seconds[_FIRST])]


def note_stop(parts: Parts, run: int, why: str) -> None:
    """Remember why a run stopped, and which remote stood in its way, for whoever is told of the silence."""
    before = parts.state.fact(_STOPPED) or {}
    since = before.get("since", parts.state.now())
    stop = {"run": run, "why": blotted(why), "side": _side(parts, why), "since": since}
    with parts.state.begin() as c:
        parts.state.keep(c, _STOPPED, stop)


def _stopped(parts: Parts, run: int) -> Stopped | None:
    kept = parts.state.fact(_STOPPED)
    return Stopped(kept["why"], kept["side"]) if kept and kept["run"] == run else None


def why_stopped(state: State, run: int) -> str | None:
    """Return why a run stopped, if it was the last that did."""
    kept = state.fact(_STOPPED)
    return str(kept["why"]) if kept and kept["run"] == run else None


def _side(parts: Parts, why: str) -> str | None:
    return side_of(why, parts.config, parts.state.fact(INSTANCE))


def addresses(config: Config, instance: str | None) -> dict[str, tuple[str, ...]]:
    """Return where each remote is called. `instance`: the org's own address, once it is known."""
    till, crm = config.lightspeed, config.salesforce
    return {"Lightspeed": (till.api_url, till.auth_url), "Salesforce": (crm.login_url, instance or "")}


def side_of(why: str, config: Config, instance: str | None) -> str | None:
    """Return the remote that a sentence is about: by its name, or by its host; None where it fits both."""
    hosts = addresses(config, instance)
    if len(named := [side for side in hosts if side in why]) == 1:
        return named[0]
    met = [side for side, urls in hosts.items() if any(h and h in why for h in map(_host, urls))]
    return met[0] if len(met) == 1 else None


def _host(url: str) -> str | None:
    return urlsplit(url).hostname


def _late(parts: Parts, now: float, rested: Rested) -> list[Burning]:
    """Return the kinds of which too many come later than promised; a person's pause makes nobody late."""
    landed = freshness.since(parts.state, now - SLOW_SECONDS)
    landed = [each for each in landed if each.began_at >= rested.resumed_at]
    found = (burning(landed, each, now) for each in objectives(parts.config.freshness))
    return [each for each in found if each is not None]


def objectives(wished: Freshness) -> tuple[Objective, ...]:
    """Return how soon news of each kind are promised to be across."""
    share = wished.percent / 100
    return (
        Objective(kind="sale", seconds=wished.receipts_seconds, share=share),
        Objective(kind="customer", seconds=wished.customers_seconds, share=share),
    )


def _held_back(plans: Plans) -> list[HeldBack]:
    return [
        HeldBack(each.id, len({entry.till_id or entry.crm_id for entry in each.entries}), each.reasons)
        for each in plans.in_state(OPEN)
        if each.why == HELD
    ]


def _tell_one(
    channel: Channel,
    due: Plan,
    notices: Notices,
    places: Places,
    outcome: str | None,
    stopped: Stopped | None,
) -> tuple[int, str]:
    """Send one channel's messages, keeping each notice as soon as its message was taken."""
    notices.forget(channel.key, due.over)
    taken, sentence = 0, ""
    for each in due.due:
        try:
            channel.send(word(each.news, places, last_outcome=outcome, stopped=stopped))
        except ChannelFailed as error:
            sentence = str(error)
            if error.only_this:
                continue
            break
        notices.keep(channel.key, each.then)
        taken += 1
    return taken, sentence


def has_channels(alerts: Alerts) -> bool:
    """Say whether anybody is to be told."""
    return bool(alerts.email_to or alerts.slack_webhook_url or alerts.apprise_urls)


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of a test message to one channel."""

    label: str
    mistake: str | None


def try_out(alerts: Alerts, now: datetime) -> list[Tried]:
    """Send one test message to each channel."""
    tried = []
    with open_channels(alerts, now) as channels:
        for channel in channels:
            try:
                channel.send(trial())
            except ChannelFailed as error:
                tried.append(Tried(channel.label, str(error)))
            else:
                tried.append(Tried(channel.label, None))
    return tried
