"""`tillbridge serve` in an empty folder, two simulators to be joined, and how a browser gets in."""

import os
import re
import signal
import subprocess
from datetime import UTC, datetime

from web_served import COMMAND
from world import World

from tillbridge.simulators.lightspeed.limits import Meter
from tillbridge.simulators.salesforce.oauth import Client, register

TILL = {"client_id": "demo-client", "client_secret": "demo-secret"}
APP, APP_SECRET = "wizard-app", "wizard-app-secret"


def world_to_join(folder, *, runs=True, model="person_account"):
    """Two shops with customers and sales that nobody has joined with an org."""
    folder.mkdir()
    world = World(folder, model=model)
    if runs:
        world.wait_until(datetime.now(UTC).isoformat())
        world.sim_clock.run(True)
    # A chain's account: counting its records does not use up its rate limit for a minute.
    world.till_app.meter = Meter(190_001, registers=40)
    shops = [world.shop(name, "Europe/London") for name in ("High Street", "Harbour")]
    world.employee("Kim", "Seller")
    ring, watch = world.item("Ring", "100"), world.item("Watch", "250")
    people = [
        world.customer(*name, email=f"person{n}@example.com")
        for n, name in enumerate((("Ana", "Silva"), ("Bo", "Lindqvist"), ("Cleo", "Marsh")))
    ]
    world.person("Ana", "Silva", email="person0@example.com")
    for n, shop in enumerate(shops):
        world.ring(ring, watch, customer=people[n], shopID=shop)
    return world


def registered(world, url):
    """Let both sides know the console, as people do who register an app with them."""
    world.till_app.grants.switches.redirect_uri = f"{url}/connected/lightspeed"
    user = next(iter(world.org.users.values()))
    register(
        world.org,
        Client(
            key=APP,
            secret=APP_SECRET,
            run_as=user.username,
            redirect_uris=[f"{url}/connected/salesforce"],
        ),
    )


class EmptyServed:
    """A service in a folder that says nothing but that simulators are allowed."""

    def __init__(self, folder):
        self.world = world_to_join(folder / "sims")
        self.home = folder / "home"
        self.home.mkdir()
        (self.home / "tillbridge.toml").write_text("[service]\nsimulators = true\n")
        self.process = subprocess.Popen(
            [*COMMAND, "serve", "--home", str(self.home), "--port", "0"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={key: value for key, value in os.environ.items() if not key.startswith("TILLBRIDGE_")},
            text=True,
        )
        told = [self.process.stderr.readline() for _ in range(3)]
        assert "/enter/" in told[2], told
        self.url = re.search(r"http://127\.0\.0\.1:\d+", told[0])[0]
        self.link = told[2].strip()
        registered(self.world, self.url)

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=15)
        self.process.stderr.close()
        self.world.close()
