"""Say what a customer becomes in the CRM, and which way values flow: only what the org can have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tillbridge.config import Customers
from tillbridge.model.errors import ConfigurationInvalid
from tillbridge.setup import steps
from tillbridge.setup.fields import Fields
from tillbridge.setup.setups import Setups

# By their names in the configuration: how each is called, and what it means.
MODELS: Mapping[str, tuple[str, str]] = {
    "person_account": (
        "Person accounts",
        "One record for each person. The usual choice where the org has person accounts.",
    ),
    "contact": ("Contacts with an account", "A contact for each person, below an account of their own."),
    "lead": ("Leads", "A lead for each person; your people convert whom they want to keep."),
}
MODES: Mapping[str, tuple[str, str]] = {
    "two_way": ("Both ways", "A change on either side reaches the other."),
    "till_to_crm": ("From the till to Salesforce", "Nothing is ever written to the till."),
    "crm_to_till": (
        "From Salesforce to the till",
        "Nothing of a customer is written to Salesforce but who it is.",
    ),
    "fill_blanks": ("Fill blanks only", "Once linked, nothing that is filled in is overwritten."),
    "link_only": ("Link only", "Find who is who, and change nobody."),
}


def chosen(setups: Setups, name: str) -> tuple[str, str]:
    """Return the model and the mode as they are written."""
    written, defaults = _written(setups, name), Customers()
    return written.get("model", defaults.model), written.get("mode", defaults.mode)


def is_model_chosen(setups: Setups, name: str) -> bool:
    """Say whether somebody has chosen a model, rather than it being the default."""
    return "model" in _written(setups, name)


def _written(setups: Setups, name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = setups.settings(name).get("customers", {})
    return found


def not_offered(setups: Setups, name: str) -> dict[str, str]:
    """Return which models this org cannot have, and why, as its describe tells."""
    with setups.looking(name) as parts:
        held = {each: parts.crm.describe(each) for each in ("Account", "Contact", "Lead")}
    found = {}
    account = held["Account"]
    if account is None or "IsPersonAccount" not in account.fields:
        found["person_account"] = "The org has no person accounts, or our user may not see them."
    if account is None or held["Contact"] is None or not held["Contact"].createable:
        found["contact"] = "Our user may not create contacts in this org."
    if held["Lead"] is None or not held["Lead"].createable:
        found["lead"] = "Our user may not create leads in this org."
    return found


def save(setups: Setups, fields: Fields, name: str, model: str, mode: str, by: str) -> None:
    """Keep what customers become, and which way their values flow. Raises ConfigurationInvalid."""
    mistakes = []
    if model not in MODELS:
        mistakes.append(("model", "Choose what a customer becomes."))
    elif (why := not_offered(setups, name).get(model)) is not None:
        mistakes.append(("model", why))
    if mode not in MODES:
        mistakes.append(("mode", "Choose which way values flow."))
    if mistakes:
        raise ConfigurationInvalid(mistakes)
    before = chosen(setups, name)
    setups.set(name, {("customers", "model"): model, ("customers", "mode"): mode})
    if before[0] != model:
        # Another model is another table, whose lines nobody has looked at yet.
        setups.undone(name, steps.FIELDS)
        fields.forget(name)
    told = f"{MODELS[model][0]}, {MODES[mode][0].lower()}"
    setups.done(name, steps.CUSTOMERS, by, told, changed=before != (model, mode))
