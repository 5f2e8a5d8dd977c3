"""A home directory with a state, a vault and a clock that stands still."""

from datetime import UTC, datetime, timedelta

from tillbridge.secrets import open_vault
from tillbridge.store.database import FILE_NAME, open_database
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

    def __init__(self, path):
        self.path = path
        self.clock = StoppedClock()
        self.engine = open_database(path)
        self.state = State(self.engine, self.clock, path / FILE_NAME)
        self.vault = open_vault(path, {})
        self.journal = Journal(self.state, self.vault)
        self.people = People(self.state, self.vault)
        self.spool = Spool(self.state, self.vault)

    def close(self):
        self.engine.dispose()

    def again(self):
        self.close()
        return Home(self.path)

    def settle(self, *standings):
        with self.state.begin() as c:
            self.state.settle(c, standings)

    def stand(self, kind, till_id, state="settled", **more):
        self.settle(Settled(kind=kind, till_id=till_id, state=state, **more))

    def known(self, kind, till_id):
        return self.state.known(kind, [till_id]).get(till_id)
