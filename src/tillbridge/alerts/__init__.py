"""Tell people, once, what needs them: read plan.py for what is told when, messages.py for the words.

`tell` is called at the end of a run, while nobody else writes. It never raises
for a channel that fails: what was not taken is told at the end of the next run.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from tillbridge.alerts.channels import Channel, ChannelFailed, open_channels
from tillbridge.alerts.messages import Places, trial, word
from tillbridge.alerts.plan import Plan, plan
from tillbridge.config import Alerts
from tillbridge.store.notices import Notices

if TYPE_CHECKING:
    from tillbridge.wiring import Parts

# Where the org's own address is kept, for links, also when nobody could log in.
INSTANCE = "crm_instance"


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
    causes, pulses = notices.causes(), notices.pulses()
    places = Places(alerts.console_url, parts.state.fact(INSTANCE))
    runs = parts.journal.last_runs(1)
    outcome = runs[0].outcome if runs else None
    sent, failed = 0, []
    with open_channels(alerts, now) as channels:
        for channel in channels:
            due = plan(
                causes,
                pulses,
                notices.told(channel.key),
                now=now.timestamp(),
                digest_seconds=alerts.digest_hours * 3_600,
            )
            taken, sentence = _tell_one(channel, due, notices, places, outcome)
            sent += taken
            if sentence:
                failed.append(sentence)
    return Told(sent, tuple(dict.fromkeys(failed)))


def _tell_one(
    channel: Channel, due: Plan, notices: Notices, places: Places, outcome: str | None
) -> tuple[int, str]:
    """Send one channel's messages, keeping each notice as soon as its message was taken."""
    notices.forget(channel.key, due.over)
    taken, sentence = 0, ""
    for each in due.due:
        try:
            channel.send(word(each.news, places, last_outcome=outcome))
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
