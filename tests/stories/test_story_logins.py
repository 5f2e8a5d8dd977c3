"""Rotated tokens follow the configured login: another one starts anew, set back it finds its own again."""

import pytest
from world import ACCOUNT

from tillbridge.model.errors import CredentialsRefused
from tillbridge.simulators.lightspeed.grants import Grant, RefreshToken
from tillbridge.simulators.salesforce import oauth_state

APP = "demo-consumer"


class Ear:
    """Stands before a simulator and keeps what is sent to it."""

    def __init__(self, app):
        self._app = app
        self.clock = app.clock
        self.heard = []

    def handle(self, request):
        self.heard.append(request.body)
        return self._app.handle(request)


def listened(server):
    server.app = Ear(server.app)
    return server.app.heard


def configure(world, **values):
    """Rewrite single values of the configuration; `section__name` names one."""
    path = world.home / "tillbridge.toml"
    lines, section = [], ""
    for line in path.read_text(encoding="utf-8").splitlines():
        section = line.strip("[]") if line.startswith("[") else section
        name = f"{section}__{line.partition(' = ')[0]}"
        lines.append(f'{name.partition("__")[2]} = "{values[name]}"' if name in values else line)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def token_rows(world):
    with world.remembered() as state, state.begin() as c:
        return sorted(name.split()[0] for (name,) in c.exec_driver_sql("SELECT name FROM token"))


# --- Salesforce -----------------------------------------------------------------------------------


def consent(world):
    """Authorise the app once more; return its refresh token, which changes at each use."""
    client = oauth_state.find_client(world.org, APP)
    client.rotation = True
    return oauth_state.grant(world.org, APP, client.run_as)


def by_refresh_token(world, token):
    text = (world.home / "tillbridge.toml").read_text(encoding="utf-8")
    text = text.replace('auth = "client_credentials"', 'auth = "refresh_token"\nrefresh_token = "none yet"')
    (world.home / "tillbridge.toml").write_text(text, encoding="utf-8")
    configure(world, salesforce__refresh_token=token)


def crm_login(world):
    with world.opened() as parts:
        return parts.crm.org().id


@pytest.fixture
def refreshing(found):
    world = found(installed=False)
    world.first = consent(world)
    by_refresh_token(world, world.first)
    return world


def test_the_next_run_logs_in_with_the_rotated_token(refreshing):
    assert refreshing.org.id == crm_login(refreshing) == crm_login(refreshing)
    assert ["salesforce"] == token_rows(refreshing)


def test_a_newly_configured_token_wins_over_what_the_old_one_became(refreshing):
    crm_login(refreshing)
    for family in list(oauth_state.state(refreshing.org).grants):
        oauth_state.end_family(refreshing.org, family)
    with pytest.raises(CredentialsRefused):
        crm_login(refreshing)

    configure(refreshing, salesforce__refresh_token=consent(refreshing))
    assert refreshing.org.id == crm_login(refreshing) == crm_login(refreshing)


def test_a_crm_token_that_is_configured_back_finds_its_own_rotated_one(refreshing):
    crm_login(refreshing)
    configure(refreshing, salesforce__refresh_token=consent(refreshing))
    crm_login(refreshing)
    configure(refreshing, salesforce__refresh_token=refreshing.first)

    assert refreshing.org.id == crm_login(refreshing)
    assert ["salesforce", "salesforce"] == token_rows(refreshing)


@pytest.mark.parametrize("changed", ["login_url", "client_id"])
def test_a_rotated_token_goes_to_no_other_host_and_no_other_app(refreshing, found, changed):
    """They hear only what is configured for them."""
    crm_login(refreshing)
    other = found(installed=False)
    heard = listened(other.crm_server if changed == "login_url" else refreshing.crm_server)
    values = {"login_url": other.crm_server.url, "client_id": "another-app"}
    configure(refreshing, **{f"salesforce__{changed}": values[changed]})
    with pytest.raises(CredentialsRefused):
        crm_login(refreshing)

    assert [True] == [refreshing.first.encode() in body for body in heard]


# --- Lightspeed -----------------------------------------------------------------------------------


def till_login(world):
    with world.opened() as parts:
        return parts.till.account().id


def authorise_again(world, text):
    grants = world.till_app.grants
    again = Grant(frozenset({"employee:all"}), grants.employee_id)
    grants.refresh_tokens[text] = RefreshToken(text, again, world.sim_clock.now())
    return text


def test_a_till_login_that_is_tried_leaves_the_first_ones_pair_alone(found):
    """The configured token is dead once its heir was used, so only the kept pair leads back."""
    world = found(installed=False)
    till_login(world)
    configure(world, lightspeed__refresh_token=authorise_again(world, "another"))
    till_login(world)
    assert [True, True] == [
        world.till_app.grants.refresh_tokens[text].revoked for text in ("demo-refresh", "another")
    ]

    configure(world, lightspeed__refresh_token="demo-refresh")
    world.pass_time(hours=2)
    assert ACCOUNT == till_login(world)
    assert ["lightspeed", "lightspeed"] == token_rows(world)


def test_another_client_hears_nothing_of_the_first_ones_pair(found):
    world = found(installed=False)
    till_login(world)
    world.pass_time(hours=2)
    heard = listened(world.till_server)
    configure(world, lightspeed__client_id="another-client")
    with pytest.raises(CredentialsRefused):
        till_login(world)

    assert [True] == [b"demo-refresh" in body for body in heard]
