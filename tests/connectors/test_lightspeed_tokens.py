"""The pair of tokens survives rotation, lost answers, crashes and races between processes."""

import contextlib
import json
import multiprocessing
import random
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from tillbridge.connectors.http import Http
from tillbridge.connectors.lightspeed_r import FileLock, LightspeedR, MemoryTokenStore, StoredTokens
from tillbridge.connectors.lightspeed_r.protocol import GrantDenied, Granted, TooFast, TryAgain
from tillbridge.connectors.lightspeed_r.tokens import TokenKeeper, fingerprint
from tillbridge.model.clock import SystemClock
from tillbridge.model.errors import CredentialsRefused, LimitReached, SyncError, Transient
from tillbridge.simulators.clock import SimClock
from tillbridge.simulators.httpd import Fault, Server
from tillbridge.simulators.lightspeed import build

NOW = datetime(2026, 3, 2, 18, 0, tzinfo=UTC)
LOST = Transient("no answer", outcome_unknown=True)


class JumpingClock:
    """Time that passes only when somebody waits."""

    def __init__(self):
        self.moment = NOW
        self.waited = []

    def now(self):
        return self.moment

    def monotonic(self):
        return self.moment.timestamp()

    def sleep(self, seconds):
        self.waited.append(seconds)
        self.moment += timedelta(seconds=seconds)


class TokenServer:
    """Answers refreshes by a script; without one, grants pair after pair."""

    def __init__(self, *script):
        self.script = list(script)
        self.asked = []

    def __call__(self, refresh_token):
        self.asked.append(refresh_token)
        found = self.script.pop(0) if self.script else self.pair(len(self.asked))
        if isinstance(found, Exception):
            raise found
        return found

    @staticmethod
    def pair(number, seconds=3600.0):
        return Granted(f"access-{number}", f"refresh-{number}", seconds)


def keeper(server, store=None, clock=None, configured="configured"):
    return TokenKeeper(
        configured=configured,
        store=store if store is not None else MemoryTokenStore(),
        exchange=server,
        clock=clock or JumpingClock(),
        rng=random.Random(1),
    )


def stored(number, *, configured="configured", expires_in=3600.0):
    return StoredTokens(
        access_token=f"stored-access-{number}",
        refresh_token=f"stored-refresh-{number}",
        expires_at=NOW.timestamp() + expires_in,
        configured_fingerprint=fingerprint(configured),
    )


def test_the_first_pair_comes_from_the_configured_token_and_is_stored_before_use():
    store, server = MemoryTokenStore(), TokenServer()
    assert "access-1" == keeper(server, store).access_token()
    assert (["configured"], "refresh-1", "access-1") == (
        server.asked,
        store.tokens.refresh_token,
        store.tokens.access_token,
    )
    assert NOW.timestamp() + 3600 == store.tokens.expires_at
    assert "configured" not in repr(store.tokens)
    assert "refresh-1" not in repr(store.tokens)


def test_a_pair_that_cannot_be_stored_is_not_used():
    class FullDisk(MemoryTokenStore):
        def save(self, tokens):
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        keeper(TokenServer(), FullDisk()).access_token()


@pytest.mark.parametrize(
    ("tokens", "expected", "asked"),
    [
        pytest.param(stored(7), "stored-access-7", [], id="a stored pair that lives is used"),
        pytest.param(
            stored(7, expires_in=3),
            "access-1",
            ["stored-refresh-7"],
            id="a stored rotated token beats the configured",
        ),
        pytest.param(
            stored(7, configured="older"), "access-1", ["configured"], id="until another one is configured"
        ),
        pytest.param(None, "access-1", ["configured"], id="nothing stored"),
    ],
)
def test_where_a_token_comes_from(tokens, expected, asked):
    server = TokenServer()
    assert expected == keeper(server, MemoryTokenStore(tokens)).access_token()
    assert asked == server.asked


def test_an_access_token_is_kept_until_shortly_before_its_end():
    clock, server = JumpingClock(), TokenServer()
    tokens = keeper(server, clock=clock)
    tokens.access_token()
    clock.sleep(3594)
    assert "access-1" == tokens.access_token()
    clock.sleep(2)
    assert "access-2" == tokens.access_token()
    assert ["configured", "refresh-1"] == server.asked


def test_a_token_that_is_dead_at_birth_is_not_refreshed_with_every_request():
    server = TokenServer(TokenServer.pair(1, seconds=0.0))
    tokens = keeper(server)
    assert {"access-1"} == {tokens.access_token() for _ in range(5)}


def test_a_dead_token_is_replaced():
    server = TokenServer()
    tokens = keeper(server)
    assert ("access-2", True) == tokens.replace(tokens.access_token())


def test_a_dead_token_that_another_process_replaced_costs_no_refresh():
    server, store = TokenServer(), MemoryTokenStore(stored(7))
    tokens = keeper(server, store)
    dead = tokens.access_token()
    store.tokens = stored(8)
    assert ("stored-access-8", False) == tokens.replace(dead)
    assert [] == server.asked


def test_two_requests_with_the_same_dead_token_refresh_once():
    server = TokenServer()
    tokens = keeper(server)
    dead = tokens.access_token()
    assert [("access-2", True), ("access-2", False)] == [tokens.replace(dead), tokens.replace(dead)]


@pytest.mark.parametrize(
    "failure",
    [
        pytest.param(LOST, id="the answer was lost"),
        pytest.param(TryAgain("down"), id="the server is down"),
        pytest.param(TooFast(4.0, burst=False), id="too often"),
    ],
)
def test_the_same_refresh_is_tried_again_after_a_pause(failure):
    clock, server = JumpingClock(), TokenServer(failure)
    assert "access-2" == keeper(server, clock=clock).access_token()
    assert ["configured", "configured"] == server.asked
    assert sum(clock.waited) >= 15


def test_refreshes_stay_below_five_a_minute_and_end():
    clock, server = JumpingClock(), TokenServer(*[LOST] * 9)
    with pytest.raises(Transient):
        keeper(server, clock=clock).access_token()
    assert 3 == len(server.asked)
    assert sum(clock.waited) >= 30


def test_a_long_ban_is_handed_back():
    with pytest.raises(LimitReached) as caught:
        keeper(TokenServer(TooFast(900.0, burst=False))).access_token()
    assert 900 == caught.value.resume_after_seconds


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("invalid_grant", "authorise Tillbridge in Lightspeed again"),
        ("invalid_client", "Check client id and client secret"),
        ("unheard_of", "Check client id, client secret and refresh token"),
    ],
)
def test_a_denial_is_final(code, words):
    server = TokenServer(GrantDenied(code, f"It says {code}"))
    tokens = keeper(server)
    for _ in range(3):
        with pytest.raises(CredentialsRefused, match=words):
            tokens.access_token()
    assert 1 == len(server.asked), "asking again gets the client blocked"


def test_after_a_denial_a_pair_that_somebody_else_stored_counts():
    store = MemoryTokenStore(stored(7, expires_in=0))
    tokens = keeper(TokenServer(GrantDenied("invalid_grant", "no")), store)
    with pytest.raises(CredentialsRefused):
        tokens.access_token()
    store.tokens = stored(8)
    assert "stored-access-8" == tokens.access_token()


# --- over HTTP, against the simulator's rules of rotation


class FileTokenStore:
    """A pair in a file: what two processes of one installation share."""

    def __init__(self, directory):
        self._lock = FileLock(Path(directory) / "tokens.lock")
        self._path = Path(directory) / "tokens.json"

    def lock(self):
        return self._lock.hold()

    def load(self):
        if not self._path.exists():
            return None
        return msgspec.json.decode(self._path.read_bytes(), type=StoredTokens)

    def save(self, tokens):
        fresh = self._path.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(tokens))
        fresh.replace(self._path)


@pytest.fixture
def account():
    server = Server(build(None, clock=SimClock(NOW.timestamp()))).start()
    yield server
    server.close()


def connect(url, store, clock, http):
    return LightspeedR(
        client_id="demo-client",
        client_secret="demo-secret",
        refresh_token="demo-refresh",
        store=store,
        clock=clock,
        rng=random.Random(1),
        http=http,
        api_url=url,
        auth_url=url,
    )


def read_stores(url, directory, barrier, answers):
    """One process: start together with the other, read, say what happened."""
    with Http() as http:
        till = connect(url, FileTokenStore(directory), SystemClock(), http)
        barrier.wait(30)
        try:
            answers.put(("fine", len(till.stores()), till.token_calls))
        except SyncError as error:
            answers.put((type(error).__name__, str(error), till.token_calls))


def test_two_processes_that_refresh_at_the_same_moment_do_not_lock_the_account_out(account, tmp_path):
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(2), context.Queue()
    processes = [
        context.Process(target=read_stores, args=(account.url, str(tmp_path), barrier, answers))
        for _ in range(2)
    ]
    for process in processes:
        process.start()
    found = [answers.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(30)
    assert [("fine", 1), ("fine", 1)] == [answer[:2] for answer in found]
    assert 1 == sum(answer[2] for answer in found), "one refreshed, the other took what it stored"


def test_many_threads_share_one_refresh(account):
    store, results = MemoryTokenStore(), []
    with Http() as http:
        till = connect(account.url, store, SystemClock(), http)
        till.stores()
        account.app.clock.advance(7200)  # every token is dead now, and nobody knows

        def read():
            results.append(len(till.stores()))

        threads = [threading.Thread(target=read) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [1] * 8 == results
    assert 2 == till.token_calls


@pytest.mark.parametrize("kind", ["reset_after", "half_body", "reset_before"])
def test_a_refresh_whose_answer_is_lost_is_repeated(account, kind):
    account.faults.append(Fault(kind, match="POST /auth/oauth/token"))
    clock = JumpingClock()
    with Http() as http:
        till = connect(account.url, MemoryTokenStore(), clock, http)
        assert 1 == len(till.stores())
    assert 2 == till.token_calls


def test_a_crash_between_rotation_and_storing_is_survived(account):
    class DyingStore(MemoryTokenStore):
        def save(self, tokens):
            raise KeyboardInterrupt

    with Http() as http:
        with pytest.raises(KeyboardInterrupt):
            connect(account.url, DyingStore(), JumpingClock(), http).stores()
        assert 1 == len(connect(account.url, MemoryTokenStore(), JumpingClock(), http).stores())


def test_a_year_of_rotation(account):
    store, clock = MemoryTokenStore(), JumpingClock()
    with Http() as http:
        for _ in range(13):
            assert 1 == len(connect(account.url, store, clock, http).stores())
            clock.sleep(29 * 86_400)
            account.app.clock.advance(29 * 86_400)
    assert 13 == store.saves


def test_a_stale_configured_token_is_refused_in_one_sentence(account):
    with Http() as http:
        connect(account.url, MemoryTokenStore(), JumpingClock(), http).stores()
        with pytest.raises(CredentialsRefused, match="authorise Tillbridge in Lightspeed again") as caught:
            connect(account.url, MemoryTokenStore(), JumpingClock(), http).stores()
    assert "demo-" not in str(caught.value)


@pytest.mark.parametrize("switches", [{}, {"legacy_401": True}], ids=["the new shape", "the old shape"])
def test_a_token_that_dies_early_is_replaced_once(switches):
    server = Server(build(None, clock=SimClock(NOW.timestamp()), switches=switches)).start()
    try:
        with Http() as http:
            till = connect(server.url, MemoryTokenStore(), JumpingClock(), http)
            till.stores()
            server.app.clock.advance(4000)
            assert 1 == len(till.stores())
        assert (2, 3) == (till.token_calls, till.calls)
    finally:
        server.close()


def test_a_lock_is_free_again_when_its_holder_dies(tmp_path):
    path = tmp_path / "a.lock"
    with contextlib.suppress(RuntimeError), FileLock(path).hold():
        raise RuntimeError
    with FileLock(path).hold():
        assert 0o600 == path.stat().st_mode & 0o777


def test_stored_tokens_survive_json():
    assert stored(7) == msgspec.json.decode(json.dumps(msgspec.to_builtins(stored(7))), type=StoredTokens)
