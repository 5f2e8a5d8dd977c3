"""Install Tillbridge's package into the org, wait for it, and give our user its permission set.

Both the command line and the console's set-up do it from here; it can be done again without harm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tillbridge.connectors.salesforce import metadata
from tillbridge.engine.preflight import forget_objects
from tillbridge.model.errors import ConfigurationInvalid, Transient
from tillbridge.setup import steps

if TYPE_CHECKING:
    from tillbridge.actions import Actions
    from tillbridge.connectors.salesforce.metadata import DeployStatus
    from tillbridge.engine.connection import Progress
    from tillbridge.setup.errands import Errand, Work
    from tillbridge.setup.setups import Setups
    from tillbridge.wiring import Parts

PERMISSION_SET = "Tillbridge_Integration"

# A first look soon, then less often: each look is a call of the org's day.
_POLL_SECONDS = (1.0, 2.0, 3.0, 5.0, 10.0)
# A large org's deployment queue moves slowly, but not for hours.
_DEPLOY_SECONDS_MAX = 3_600.0


def install(parts: Parts, progress: Progress, *, check_only: bool) -> tuple[DeployStatus, bool | None]:
    """Install the package, or try it out, and assign the permission set.

    Returns what the org says, and whether the permission set is newly assigned; None: not asked for.
    """
    status = deploy_package(parts, progress, check_only=check_only)
    if not status.success or check_only:
        return status, None
    blind = parts.crm.describe("Account") is None
    assigned = assign(parts)
    if blind and shows_persons(parts):
        # Only now may our user see that the org has person accounts: their part follows.
        status = deploy_package(parts, progress, check_only=False)
    return status, assigned


def errand_of(setups: Setups, actions: Actions, name: str, by: str) -> Work:
    """Return the errand that installs the package for a set-up, and keeps what the org says."""

    def work(errand: Errand) -> None:
        with actions.holding.opened(name) as parts:
            parts.progress = errand
            status, _ = install(parts, errand, check_only=False)
        failures = [
            {"where": each.file, "what": each.full_name, "why": each.problem} for each in status.failures
        ]
        told = {
            "success": status.success,
            "total": status.total,
            "why": status.error_message or "",
            "failures": failures,
        }
        setups.keep(name, steps.PACKAGE, told)
        errand.came.update(components=status.total, installed=status.success)
        if status.success:
            setups.done(name, steps.PACKAGE, by, f"{status.total:,} components")
        else:
            setups.undone(name, steps.PACKAGE)

    return work


def deploy_package(parts: Parts, progress: Progress, *, check_only: bool) -> DeployStatus:
    """Build the package for this org, send it, and wait until the org is done with it.

    Raises Halted when this home belongs to another org: a wrong login must not install there.
    """
    parts.state.check_bound("crm_org", parts.crm.org().id)
    persons = shows_persons(parts)
    try:
        package = metadata.build_zip(
            metadata.package_folder(),
            person_accounts=persons,
            person_record_types=parts.crm.person_record_types() if persons else (),
        )
    except metadata.PackageError as error:
        raise ConfigurationInvalid([(error.path, error.reason)]) from error
    deployment = parts.crm.deploy(package, check_only=check_only)
    title = "Checking the Salesforce package" if check_only else "Installing the Salesforce package"
    return _wait(parts, progress, deployment, title)


def shows_persons(parts: Parts) -> bool:
    """Say whether the org has person accounts, as far as our user may see. One call."""
    account = parts.crm.describe("Account")
    return account is not None and "IsPersonAccount" in account.fields


def _wait(parts: Parts, progress: Progress, deployment: str, title: str) -> DeployStatus:
    clock, begun, waits = parts.clock, parts.clock.monotonic(), iter(_POLL_SECONDS)
    status = parts.crm.deploy_status(deployment)
    bar = progress.bar(title, status.total or None)
    seen = 0
    while not status.done:
        if clock.monotonic() - begun > _DEPLOY_SECONDS_MAX:
            raise Transient("Salesforce has not finished the deployment within an hour")
        clock.sleep(next(waits, _POLL_SECONDS[-1]))
        status = parts.crm.deploy_status(deployment)
        bar.advance(max(0, status.deployed - seen))
        seen = max(seen, status.deployed)
    bar.advance(max(0, status.deployed - seen))
    bar.close()
    return status


def assign(parts: Parts) -> bool:
    """Give our user the permission set, and forget what we knew of the org; False: it had it."""
    assigned = parts.crm.assign_permission_set(PERMISSION_SET)
    forget_objects(parts.state)
    return assigned
