"""What the service and people do again and again, by its name here and by what it does in one line.

Commands and the API know the short names; pages show both.
"""

from __future__ import annotations

from typing import NamedTuple


class Doing(NamedTuple):
    """One thing that is done: how people call it, and what it does."""

    title: str
    does: str


# By the name of a stream, and by the word under which a run of it is noted.
DOINGS: dict[str, Doing] = {
    "sales": Doing("Sales", "Reads new and changed receipts from Lightspeed and sends them."),
    "customers": Doing("Customers", "Reads who has changed on either side and carries it across."),
    "products": Doing("Products", "Reads changed products and their prices and sends them."),
    "stock": Doing("Stock levels", "Reads changed stock and sends it."),
    "voids": Doing("Voided receipts", "Reads what was voided in Lightspeed and takes it back in Salesforce."),
    "replay": Doing("Second tries", "Sends again what was refused, put right or released."),
    "cross-check": Doing(
        "Late changes", "Looks for late lines, payments and merges, which no list of changes names."
    ),
    "sweep": Doing(
        "Re-reading", "Reads what was not read for longest on both sides again, and mends what differs."
    ),
    "certify": Doing("Daily proof", "Compares both systems' sums of each business day that is over."),
    "notify": Doing("Alerts", "Tells people of new problems, silence and days that differ."),
    "backfill": Doing("Loading history", "Loads what is older than the connection, in the background."),
    "poll": Doing("Reading changes", "Reads what has changed and sends it."),
    "sync": Doing("Sync", "Reads what has changed and sends it, once."),
    "force": Doing("Sent by hand", "Sends what somebody has picked, changed or not."),
    "retry": Doing("Problems tried again", "Sends refused records again."),
    "fix": Doing("Cause mended", "Applies what somebody has decided about a cause, and sends again."),
    "edit": Doing("Record edited", "Sends a record with fields that were set by hand."),
    "choose": Doing("Person chosen", "Links a customer to the person whom somebody has chosen."),
    "conflicts": Doing("Conflicts decided", "Carries the side that somebody has chosen."),
    "preview": Doing("Preview", "Looks at what would be written, and writes nothing."),
    "apply": Doing("Preview applied", "Writes what a preview says."),
    "approve": Doing("Plan approved", "Writes a plan that was held back."),
    "undo": Doing("Run undone", "Puts back what a run has changed of customers."),
    "restore": Doing("Value restored", "Puts back a value that was replaced."),
    "unlink": Doing("Taken apart", "Takes a customer and a person apart."),
    "erase": Doing("Person erased", "Erases a person on both sides."),
    "erase replay": Doing("Erasures repeated", "Erases again whom a backup has brought back."),
    "dedupe scan": Doing("Search for duplicates", "Compares everybody whom both sides have shown."),
    "dedupe check": Doing("Merge checked", "Looks whether somebody has merged duplicates."),
    "dedupe apply": Doing("Duplicates merged", "Merges in Salesforce what people have decided."),
}


def doing(name: str) -> Doing:
    """Return what people call a stream or a run; one without a name of its own is shown by the one it has."""
    first, _, rest = name.partition(" ")
    return (
        DOINGS.get(name)
        or DOINGS.get(rest)
        or DOINGS.get(first)
        or Doing(name.replace("-", " ").capitalize(), "")
    )
