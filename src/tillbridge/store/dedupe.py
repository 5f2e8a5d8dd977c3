"""Clusters of duplicates between a scan and the day they are merged: what was found, what a person decided.

A body names people, so it is sealed; its members' ids stand beside it in clear, so
that whoever is erased can be found and taken out.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import combinations

import msgspec
import sqlalchemy as sa

from tillbridge.secrets import Vault
from tillbridge.store import schema
from tillbridge.store.lists import parts
from tillbridge.store.state import State
from tillbridge.store.writing import insert
from tillbridge.sync.decisions import ClusterState, Kept

_cluster = schema.dedupe_cluster
_member = schema.dedupe_member


class Clusters:
    """The clusters of one connection."""

    def __init__(self, state: State, vault: Vault) -> None:
        self._state = state
        self._vault = vault

    def all(self, states: Collection[ClusterState] = ()) -> list[Kept]:
        """Return the clusters in these states, or all, in the order of their ids."""
        statement = sa.select(_cluster.c.id, _cluster.c.body).order_by(_cluster.c.id)
        if states:
            statement = statement.where(_cluster.c.state.in_(list(states)))
        with self._state.begin() as c:
            return [self._open(row.id, row.body) for row in c.execute(statement)]

    def get(self, cluster_id: str) -> Kept | None:
        """Return one cluster."""
        with self._state.begin() as c:
            body = c.execute(sa.select(_cluster.c.body).where(_cluster.c.id == cluster_id)).scalar()
        return None if body is None else self._open(cluster_id, body)

    def count(self) -> dict[str, int]:
        """Count the clusters by state."""
        statement = sa.select(_cluster.c.state, sa.func.count().label("how_many")).group_by(_cluster.c.state)
        with self._state.begin() as c:
            return {row.state: row.how_many for row in c.execute(statement)}

    def apart(self) -> set[frozenset[str]]:
        """Return the pairs that a person has kept apart: no scan proposes them again."""
        pairs: set[frozenset[str]] = set()
        for kept in self.all():
            words = kept.decision.words
            apart = [ref for ref, word in words.items() if word == "keep apart"]
            for side in ("till", "crm"):
                refs = [member.ref for member in kept.cluster.of_side(side)]
                pairs |= {frozenset(pair) for pair in combinations(refs, 2) if set(pair) & set(apart)}
        return pairs

    # --- writing -----------------------------------------------------------------------------

    def keep(self, connection: sa.Connection, kept: Collection[Kept]) -> None:
        """Keep clusters, over what was kept of them."""
        if not kept:
            return
        now = self._state.now()
        rows = [
            {"id": each.id, "state": each.state, "body": self._sealed(each), "moved_at": now} for each in kept
        ]
        statement = insert(_cluster)
        changes = {name: statement.excluded[name] for name in ("state", "body", "moved_at")}
        connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=changes), rows)
        members = [
            {"member": member.ref, "cluster": each.id} for each in kept for member in each.cluster.members
        ]
        connection.execute(insert(_member).on_conflict_do_nothing(), members)

    def take(self, decided: Collection[Kept]) -> None:
        """Take in what a person has decided: all of it, or after a crash nothing."""
        with self._state.begin() as c:
            self.keep(c, decided)

    def drop(self, connection: sa.Connection, ids: Collection[str]) -> None:
        """Forget clusters."""
        for part in parts(ids):
            connection.execute(sa.delete(_cluster).where(_cluster.c.id.in_(part)))
            connection.execute(sa.delete(_member).where(_member.c.cluster.in_(part)))

    def erase(self, connection: sa.Connection, till_ids: Collection[str], crm_ids: Collection[str]) -> int:
        """Forget every cluster that one of these is a member of; return how many. For whoever is erased.

        The others of a cluster lose nothing: the next scan finds them again, without the erased.
        """
        refs = [*(f"till {i}" for i in till_ids), *(f"crm {i}" for i in crm_ids)]
        found: set[str] = set()
        for part in parts(refs):
            found.update(
                connection.execute(sa.select(_member.c.cluster).where(_member.c.member.in_(part))).scalars()
            )
        self.drop(connection, found)
        return len(found)

    def _sealed(self, kept: Kept) -> bytes:
        return self._vault.seal(msgspec.json.encode(kept), f"dedupe {kept.id}")

    def _open(self, cluster_id: str, body: bytes) -> Kept:
        return _decoder.decode(self._vault.open(body, f"dedupe {cluster_id}"))


_decoder = msgspec.json.Decoder(Kept)
