"""`alerts test`: one test message to every channel, and a sentence for each that does not take it."""

from __future__ import annotations

from pathlib import Path

from tillbridge.cli import words
from tillbridge.cli.desk import Desk


def run_test(desk: Desk, home: Path, *, as_json: bool) -> int:
    """Try every channel out. A channel that fails is a wrong setting until shown otherwise."""
    from tillbridge import alerts, config
    from tillbridge.model.errors import ConfigurationInvalid

    settings = config.load(home, desk.env).alerts
    if not alerts.has_channels(settings):
        reason = "nobody is named; set email_to, slack_webhook_url or apprise_urls in tillbridge.toml"
        raise ConfigurationInvalid([("alerts", reason)])
    tried = alerts.try_out(settings, desk.clock.now())
    if as_json:
        desk.screen.document({"channels": [{"channel": t.label, "mistake": t.mistake} for t in tried]})
    else:
        for each in tried:
            if each.mistake is None:
                desk.screen.result.print(f"{each.label}: the test message was taken.", soft_wrap=True)
    for mistake in dict.fromkeys(each.mistake for each in tried if each.mistake):
        desk.screen.note(words.sentence(mistake))
    return words.WRONG if any(each.mistake for each in tried) else words.DONE
