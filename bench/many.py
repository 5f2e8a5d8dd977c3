"""Both simulators for many connections in one process: `python -m bench.many COUNT` prints two addresses.

Every connection has a client and a grant of its own at the till, and an org of its
own as far as it can tell: so each has its own limits, as merchants have.
"""

from __future__ import annotations

import dataclasses
import os
import re
import signal
import sys
from datetime import UTC, datetime

from tillbridge.simulators import lightspeed, salesforce
from tillbridge.simulators.clock import SimClock
from tillbridge.simulators.httpd import Request, Response, Server
from tillbridge.simulators.lightspeed import LightspeedApp
from tillbridge.simulators.lightspeed.grants import Grant, RefreshToken
from tillbridge.simulators.retailer import Plan
from tillbridge.simulators.salesforce import SalesforceApp

# A bucket as large as that of a chain with so many registers never fills.
_REGISTERS = 50_000
_CALLS_A_DAY = 100_000_000
_CLIENT = re.compile(rb"client_id=client-\d+")
_CONSUMER = re.compile(rb"client_id=consumer-(\d+)")


def client(number: int) -> str:
    """Return a connection's client at the till."""
    return f"client-{number}"


def refresh_token(number: int) -> str:
    """Return a connection's refresh token at the till."""
    return f"refresh-{number}"


class _AnyClient(LightspeedApp):
    """An account that takes every one of our clients for the one it knows."""

    def handle(self, request: Request) -> Response:
        """Answer one vendor request."""
        body = _CLIENT.sub(b"client_id=demo-client", request.body)
        return super().handle(dataclasses.replace(request, body=body))


def consumer(number: int) -> str:
    """Return a connection's app in its org."""
    return f"consumer-{number}"


def org(number: int) -> str:
    """Return the id of a connection's org, in its short form."""
    return f"00DWt{1_000 + number:010}"


class _AnyOrg(SalesforceApp):
    """An org that is another one to whoever logs in with another app."""

    def handle(self, request: Request) -> Response:
        """Answer one vendor request."""
        found = _CONSUMER.search(request.body) if request.path.startswith("/services/oauth2/") else None
        if found is None:
            return super().handle(request)
        body = _CONSUMER.sub(b"client_id=demo-consumer", request.body)
        answer = super().handle(dataclasses.replace(request, body=body))
        theirs = answer.body.replace(self.org.id.encode(), org(int(found[1])).encode())
        return dataclasses.replace(answer, body=theirs)


def main() -> int:
    """Serve until told to stop."""
    count = int(sys.argv[1])
    now = datetime.now(UTC).replace(microsecond=0)
    clock = SimClock(now.timestamp())
    plan = Plan(shops=1, customers=20, sales=20, products=20, years=0.1, end=now)
    made = lightspeed.build(plan, clock=clock, registers=_REGISTERS)
    till = _AnyClient(made.world, made.grants, made.meter)
    for number in range(count):
        grant = Grant(frozenset({"employee:all"}), made.grants.employee_id)
        text = refresh_token(number)
        till.grants.refresh_tokens[text] = RefreshToken(text, grant, clock.now())
    crm = _AnyOrg(clock, salesforce.build(plan, clock=clock).org)
    crm.org.usage.daily_max = _CALLS_A_DAY
    clock.set(datetime.now(UTC).timestamp())
    servers = [Server(till).start(), Server(crm)]
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    print(*(server.url for server in servers), flush=True)
    servers[1].serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
