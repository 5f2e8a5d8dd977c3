"""What people decide about duplicates, and the table they decide in: one line a record.

The table goes through somebody's spreadsheet, so nothing in it may be taken for a
formula, and it comes back with any delimiter, order and mistakes: every mistake is
told with its line, and one mistake keeps the whole file out.
"""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from tillbridge.sync.dedupe import Cluster, Member, Side

# open: nobody has decided. decided: to be merged. apart: several people. by_hand: the till's part of it
# waits for people. done: nothing is left to do.
ClusterState = Literal["open", "decided", "apart", "by_hand", "done"]
Word = Literal["merge", "keep apart", "look"]
WORDS: tuple[Word, ...] = ("merge", "keep apart", "look")


class Decision(msgspec.Struct, frozen=True):
    """What a person has said of a cluster: who stays on each side, and what becomes of each member."""

    survivors: Mapping[Side, str] = {}
    words: Mapping[str, Word] = {}
    by: str = ""
    at: float = 0.0

    def losers(self, side: Side, members: Iterable[str]) -> list[str]:
        """Return who goes into the survivor of a side."""
        stays = self.survivors.get(side)
        return [ref for ref in members if ref != stays and self.words.get(ref) == "merge"]


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A cluster as we keep it. `gone`: members that are merged or not there any more.

    `changed`: members that were changed after a person had decided, which has undone the decision.
    """

    cluster: Cluster
    state: ClusterState = "open"
    decision: Decision = Decision()
    gone: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """Return the cluster's id."""
        return self.cluster.id

    def losers(self, side: Side) -> list[str]:
        """Return whom a person wants merged on a side and who is still there."""
        refs = [member.ref for member in self.cluster.of_side(side)]
        return [ref for ref in self.decision.losers(side, refs) if ref not in self.gone]

    def only_apart(self) -> Kept | None:
        """Return what is left when nothing is to be merged: who is kept apart; None when nobody is."""
        words = {ref: word for ref, word in self.decision.words.items() if word == "keep apart"}
        if not words:
            return None
        decision = msgspec.structs.replace(self.decision, survivors={}, words=words)
        return msgspec.structs.replace(self, state="apart", decision=decision)


# --- the table -----------------------------------------------------------------------------------

COLUMNS = (
    "cluster", "confidence", "why", "side", "object", "id", "first_name", "last_name", "company", "emails",
    "phones", "address", "birth_date", "link", "proposed_survivor", "proposal", "survivor", "decision",
)  # fmt: skip
_READ = ("cluster", "side", "id", "survivor", "decision")

# What a spreadsheet takes for a formula, behind any quotes that stand there already.
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_QUOTED = re.compile(r"'+[=+\-@\t\r]")
_YES = frozenset({"yes", "y", "x", "true", "1"})
_NO = frozenset({"", "no", "n", "false", "0"})

# A file of people's decisions has a line for each duplicate; more lines than this are something else.
LINES_MAX = 1_000_000


class BadLine(msgspec.Struct, frozen=True):
    """One mistake in a table, and where. Line 1 is the heading."""

    line: int
    text: str


def table(kept: Iterable[Kept], link: Callable[[Member], str]) -> str:
    """Write clusters as CSV. `survivor` holds the proposal, `decision` what was decided so far."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for each in kept:
        writer.writerows(_rows(each, link))
    return out.getvalue()


def _rows(kept: Kept, link: Callable[[Member], str]) -> Iterable[list[str]]:
    cluster, chosen = kept.cluster, kept.decision.survivors or kept.cluster.survivors
    proposed, survivors = set(cluster.survivors.values()), set(chosen.values())
    for member in cluster.members:
        place = (member.street, member.zip, member.city, member.country)
        cells = (
            cluster.id,
            cluster.tier,
            why(kept, member.ref),
            member.side,
            member.object,
            member.id,
            member.first or "",
            member.last or "",
            member.company or "",
            ", ".join(member.emails),
            ", ".join(member.phones),
            ", ".join(" ".join(part.split()) for part in place if part),
            member.born or "",
            link(member),
            "yes" if member.ref in proposed else "",
            cluster.proposal(member.ref),
            "yes" if member.ref in survivors else "",
            kept.decision.words.get(member.ref, ""),
        )
        yield [escaped(cell) for cell in cells]


def why(kept: Kept, ref: str) -> str:
    """Say in a line why a member is in its cluster, and what speaks against it."""
    cluster = kept.cluster
    told = [
        f"{edge.text} ({edge.other if edge.one == ref else edge.one})"
        for edge in cluster.edges
        if ref in {edge.one, edge.other}
    ]
    doubts = [*(["changed since you decided"] if ref in kept.changed else []), *cluster.doubts]
    return "; ".join([*dict.fromkeys(told), *(f"look: {doubt}" for doubt in doubts)])


def escaped(text: str) -> str:
    """Put a quote before what a spreadsheet would work out; `unescaped` takes it off again."""
    return f"'{text}" if _FORMULA.match(text) else text


def unescaped(text: str) -> str:
    """Return the text that was escaped."""
    return text[1:] if _QUOTED.match(text) else text


# --- reading it back -----------------------------------------------------------------------------


class _Line(msgspec.Struct, frozen=True):
    line: int
    ref: str
    survives: bool
    word: Word | None


def read(text: str, known: Mapping[str, Kept], by: str, at: float) -> tuple[list[Kept], list[BadLine]]:
    """Read decisions back: the clusters with them, and every mistake. With a mistake nothing counts.

    Lines may be missing or in any order, and further columns are passed over; a
    cluster whose decided lines have all come back empty is undecided again.
    """
    bad: list[BadLine] = []
    lines: dict[str, list[_Line]] = defaultdict(list)
    unread: set[str] = set()
    for number, row in _records(text, bad):
        found = _line(number, row, known, bad)
        if found is not None:
            lines[row["cluster"]].append(found)
        else:
            unread.add(row["cluster"])
    decided = []
    for cluster_id, rows in lines.items():
        kept = known[cluster_id]
        if cluster_id not in unread:  # Else what is missing would be told as a second mistake.
            _contradictions(kept, rows, bad)
        words = {each.ref: each.word for each in rows if each.word is not None}
        if words and not bad:
            survivors: dict[Side, str] = {_side(each.ref): each.ref for each in rows if each.survives}
            decision = Decision(survivors, words, by, at)
            state = _state(kept, decision)
            decided.append(msgspec.structs.replace(kept, state=state, decision=decision, changed=()))
        elif kept.decision.words and kept.decision.words.keys() <= {each.ref for each in rows} and not bad:
            decided.append(msgspec.structs.replace(kept, state="open", decision=Decision()))
    return decided, sorted(bad, key=lambda each: each.line)


def _records(text: str, bad: list[BadLine]) -> Iterable[tuple[int, dict[str, str]]]:
    heading = text.lstrip("\ufeff").partition("\n")[0]
    # Spreadsheets of half of Europe write semicolons.
    delimiter = max(",;\t", key=heading.count)
    reader = csv.reader(io.StringIO(text.lstrip("\ufeff"), newline=""), delimiter=delimiter, strict=True)
    try:
        names = [name.strip().lower() for name in next(reader, [])]
        if missing := [name for name in _READ if name not in names]:
            bad.append(BadLine(1, f"the columns {', '.join(missing)} are missing"))
            return
        begins = reader.line_num + 1
        for cells in reader:
            if begins > LINES_MAX:
                bad.append(BadLine(begins, f"more than {LINES_MAX:,} lines"))
                return
            if any(cell.strip() for cell in cells):
                padded = [*cells, *[""] * (len(names) - len(cells))]
                yield (
                    begins,
                    {name: unescaped(cell.strip()) for name, cell in zip(names, padded, strict=False)},
                )
            begins = reader.line_num + 1
    except csv.Error as error:
        bad.append(BadLine(reader.line_num, f"this is no CSV that can be read: {error}"))


def _line(number: int, row: Mapping[str, str], known: Mapping[str, Kept], bad: list[BadLine]) -> _Line | None:
    """Read one line; None, with the mistake told, when it cannot be."""
    kept = known.get(row["cluster"])
    ref = f"{row['side'].lower()} {row['id']}"
    word, survives = row["decision"].lower(), row["survivor"].lower()
    mistakes = []
    if kept is None:
        mistakes.append(f"there is no cluster {row['cluster']}: it may be older than the last scan")
    elif kept.state in _APPLIED:
        mistakes.append(f"cluster {kept.id} has been applied already")
    elif ref not in {member.ref for member in kept.cluster.members}:
        mistakes.append(f"cluster {kept.id} has no {ref}")
    if word and word not in WORDS:
        mistakes.append(f'the decision is "{row["decision"]}"; it must be {_LISTED}, or empty')
    if survives not in _YES | _NO:
        mistakes.append(f'survivor is "{row["survivor"]}"; it must be yes or empty')
    if mistakes:
        bad.extend(BadLine(number, mistake) for mistake in mistakes)
        return None
    return _Line(number, ref, survives in _YES, next((w for w in WORDS if w == word), None))


_APPLIED = frozenset({"by_hand", "done"})
_LISTED = ", ".join(WORDS)


def _contradictions(kept: Kept, rows: Sequence[_Line], bad: list[BadLine]) -> None:
    """Tell what cannot be true of one cluster at once."""
    seen: dict[str, int] = {}
    stays: dict[str, _Line] = {}
    for each in rows:
        if each.ref in seen:
            bad.append(BadLine(each.line, f"{each.ref} stands on line {seen[each.ref]} already"))
        seen.setdefault(each.ref, each.line)
        if not each.survives:
            continue
        side = _side(each.ref)
        if side in stays and stays[side].ref != each.ref:
            bad.append(
                BadLine(
                    each.line,
                    f"cluster {kept.id} has a second survivor on the side of the {side}; "
                    f"the first is on line {stays[side].line}",
                )
            )
        stays.setdefault(side, each)
    for each in rows:
        side = _side(each.ref)
        if each.word != "merge":
            continue
        if side not in stays:
            bad.append(BadLine(each.line, f"{each.ref} is to be merged, but no {side} record survives"))
        elif not each.survives and stays[side].word in {"keep apart", "look"}:
            bad.append(
                BadLine(
                    each.line,
                    f'{each.ref} is to be merged into {stays[side].ref}, which says "{stays[side].word}" '
                    f"on line {stays[side].line}",
                )
            )
        elif each.survives and len(kept.cluster.of_side(side)) > 1 and not _goes_in(rows, side):
            bad.append(BadLine(each.line, f"{each.ref} survives, but nothing is merged into it"))


def _goes_in(rows: Sequence[_Line], side: Side) -> bool:
    return any(each.word == "merge" and not each.survives and _side(each.ref) == side for each in rows)


def _side(ref: str) -> Side:
    return "till" if ref.startswith("till ") else "crm"


def decided(kept: Kept, word: Literal["merge", "keep apart"], by: str, at: float) -> Kept:
    """Let all records of a cluster be one person, as it proposes, or several."""
    survivors = kept.cluster.survivors if word == "merge" else {}
    stay = set(survivors.values())
    words: dict[str, Word] = {m.ref: word for m in kept.cluster.members if m.ref not in stay}
    decision = Decision(survivors, words, by, at)
    return msgspec.structs.replace(kept, decision=decision, state=_state(kept, decision), changed=())


def _state(kept: Kept, decision: Decision) -> ClusterState:
    """Say where a cluster stands by what was decided: nothing is done about one that is to be looked at."""
    refs = {side: [m.ref for m in kept.cluster.of_side(side)] for side in _SIDES}
    if any(decision.losers(side, refs[side]) for side in _SIDES):
        return "decided"
    return "apart" if "look" not in decision.words.values() else "open"


_SIDES: tuple[Side, ...] = ("till", "crm")
