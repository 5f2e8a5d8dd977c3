"""A home directory with a state, a vault and a clock that stands still."""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from tillbridge.secrets import open_vault
from tillbridge.store import schema
from tillbridge.store.database import Place, open_database
from tillbridge.store.journal import Journal
from tillbridge.store.people import People
from tillbridge.store.spool import Spool
from tillbridge.store.state import Settled, State

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


class StoppedClock:
    def __init__(self):
        self.moment = NOON

    def now(self):
        return self.moment

    def monotonic(self):
        return self.moment.timestamp()

    def sleep(self, seconds):
        self.moment += timedelta(seconds=seconds)


class Home:
    """`again` opens the same home anew, as the next process does."""

    def __init__(self, place):
        self.place = place if isinstance(place, Place) else Place(place)
        self.path = self.place.home
        self.clock = StoppedClock()
        self.engine = open_database(self.place)
        self.state = State(self.engine, self.clock, self.place)
        self.vault = open_vault(self.path, {})
        self.journal = Journal(self.state, self.vault)
        self.people = People(self.state, self.vault)
        self.spool = Spool(self.state, self.vault)

    def close(self):
        if self.engine is not None:
            self.state.close()
            self.engine = None

    def again(self):
        self.close()
        return Home(self.place)

    def content(self):
        """Return all that the state holds as bytes, as a reader without the key sees it."""
        with self.state.begin() as c:
            rows = [row for table in schema.metadata.sorted_tables for row in c.execute(sa.select(table))]
        values = [value for row in rows for value in row if value is not None]
        held = b"\n".join(value if isinstance(value, bytes) else str(value).encode() for value in values)
        return held + b"".join(file.read_bytes() for file in self.path.glob("tillbridge.sqlite*"))

    def settle(self, *standings):
        with self.state.begin() as c:
            self.state.settle(c, standings)

    def stand(self, kind, till_id, state="settled", **more):
        self.settle(Settled(kind=kind, till_id=till_id, state=state, **more))

    def known(self, kind, till_id):
        return self.state.known(kind, [till_id]).get(till_id)
