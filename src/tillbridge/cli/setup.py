"""`init` and `schema deploy`: what is done once, and can be done again without harm."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tillbridge.cli import words
from tillbridge.cli.desk import CONFIG_FILE, Desk, open_parts
from tillbridge.model.errors import ConfigurationInvalid

if TYPE_CHECKING:
    from tillbridge.connectors.salesforce.metadata import DeployStatus

_MODELS = ("person_account", "contact", "lead")


@dataclass(frozen=True, slots=True)
class Answers:
    """What a person has told `init`; "" leaves the template as it is."""

    account_id: str = ""
    lightspeed_client_id: str = ""
    salesforce_client_id: str = ""
    username: str = ""
    login_url: str = ""
    model: str = ""


# --- init ----------------------------------------------------------------------------------------


def make_home(desk: Desk, home: Path, answers: Answers, *, as_json: bool) -> int:
    """Make what is missing of a home directory."""
    from tillbridge.secrets import KEY_FILE, open_vault
    from tillbridge.store.database import is_there
    from tillbridge.wiring import open_state, place_of, vault_for

    check_answers(answers)
    made: list[str] = []
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    config, key = home / CONFIG_FILE, home / KEY_FILE
    if not config.exists():
        write_once(config, filled(answers))
        made.append(str(config))
    if not key.exists() and not desk.env.get("TILLBRIDGE_KEY"):
        made.append(str(key))
    place = place_of(home, desk.env)
    if place.url is None:
        open_vault(home, desk.env)  # Without its key a state is not even opened.
    if not is_there(place):
        made.append(str(place))
    state = open_state(home, desk.clock, desk.env)
    try:
        vault_for(home, state, desk.env)
    finally:
        state.close()
    if as_json:
        desk.screen.document({"home": str(home), "made": made})
        return words.DONE
    for path in made:
        desk.screen.result.print(f"Made {path}", soft_wrap=True)
    if not made:
        desk.screen.result.print(f"{home} was there already, and was left as it is.", soft_wrap=True)
    for line in _next_steps(home):
        desk.screen.result.print(line, soft_wrap=True)
    return words.DONE


def check_answers(answers: Answers) -> None:
    """Raise ConfigurationInvalid with every answer that cannot be right."""
    mistakes = []
    if answers.model and answers.model not in _MODELS:
        mistakes.append(("--model", f"is one of {', '.join(_MODELS)}, not {answers.model}"))
    for option, value in vars_of(answers).items():
        if '"' in value or "\\" in value or not value.isprintable():
            mistakes.append((f"--{option.replace('_', '-')}", "holds characters that no such value has"))
    if mistakes:
        raise ConfigurationInvalid(mistakes)


def vars_of(answers: Answers) -> dict[str, str]:
    """Return the answers by name."""
    return {name: getattr(answers, name) for name in Answers.__dataclass_fields__}


def filled(answers: Answers) -> str:
    """Return the configuration as a template, with the answers in it."""
    from tillbridge.config import TEMPLATE

    text = TEMPLATE.format(
        account_id=answers.account_id,
        ls_client_id=answers.lightspeed_client_id,
        sf_client_id=answers.salesforce_client_id,
    )
    if answers.username:
        text = text.replace("integration@example.com", answers.username)
    if answers.login_url:
        text = text.replace("https://login.salesforce.com", answers.login_url)
    if answers.model:
        text = text.replace('model = "person_account"', f'model = "{answers.model}"')
    return text


def write_once(path: Path, text: str) -> None:
    """Write a new file for this user's eyes; the one who comes second leaves the first one's alone."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def _next_steps(home: Path) -> list[str]:
    return [
        "",
        "Next:",
        f"  1. Fill in {home / CONFIG_FILE}: the Lightspeed client and account, the Salesforce app and user.",
        "  2. tillbridge schema deploy     installs Tillbridge's objects and fields into the org",
        "  3. tillbridge doctor            checks both sides, and says what is missing",
        "  4. tillbridge backfill          loads the history; then run tillbridge sync every few minutes",
    ]


# --- schema deploy -------------------------------------------------------------------------------


def deploy(desk: Desk, home: Path, *, check_only: bool, as_json: bool) -> int:
    """Install the package, or try it out, and assign the permission set."""
    from tillbridge.setup.package import install

    with desk.screen.progress() as progress, open_parts(desk, home, progress, history=False) as parts:
        status, assigned = install(parts, progress, check_only=check_only)
    if as_json:
        desk.screen.document(_document(status, assigned))
    else:
        _show(desk, status, assigned)
    return words.DONE if status.success else words.NEEDS_PERSON


def _document(status: DeployStatus, assigned: bool | None) -> dict[str, Any]:
    from tillbridge.setup.package import PERMISSION_SET

    return {
        "deployment": status.id,
        "status": status.status,
        "success": status.success,
        "check_only": status.check_only,
        "components": status.total,
        "failures": [
            {"kind": f.kind, "name": f.full_name, "file": f.file, "line": f.line, "reason": f.problem}
            for f in status.failures
        ],
        "permission_set": PERMISSION_SET if assigned is not None else None,
        "newly_assigned": assigned,
    }


def _show(desk: Desk, status: DeployStatus, assigned: bool | None) -> None:
    from rich.table import Table

    from tillbridge.setup.package import PERMISSION_SET

    result = desk.screen.result
    if not status.success:
        reason = words.plain(status.error_message or "") if not status.failures else ""
        result.print(words.sentence(f"Salesforce refused the package {reason}".strip()), soft_wrap=True)
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
        for title in ("File", "Component", "Reason"):
            table.add_column(title, overflow="fold")
        for failure in status.failures:
            place = f"{failure.file}:{failure.line}" if failure.line else failure.file
            table.add_row(place, failure.full_name, words.plain(failure.problem))
        result.print(table)
        result.print("Nothing was changed in the org. Correct what it names, and run it again.")
        return
    count = words.several(status.total, "component")
    if status.check_only:
        result.print(f"The org would take all {count}. Nothing was changed.")
        return
    how = "assigned" if assigned else "was assigned already"
    result.print(f"{count} installed; permission set {PERMISSION_SET} {how}.")
