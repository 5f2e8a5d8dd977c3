"""What a refusal of one row means: what to do with the row, which cause it shares, what a person can change.

Codes and messages are the CRM's (fact sheet Salesforce 6.2); a code we do not
know is a problem to show, never one to retry. Advice names settings and
permissions, never the record.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

from tillbridge.model.acks import Refused

RowClass = Literal["transient", "waiting", "review", "problem", "halted"]


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a code means for a row, and the one line of advice that goes with it."""

    does: RowClass
    advice: str


UNKNOWN = Meaning("problem", "Read the message: it is Salesforce's own, and this code is not in our list.")

MEANINGS: dict[str, Meaning] = {
    "REQUIRED_FIELD_MISSING": Meaning(
        "problem", "Map a value to the field named, with a default if the till has none, or make it optional."
    ),
    "FIELD_CUSTOM_VALIDATION_EXCEPTION": Meaning(
        "problem",
        "A validation rule of the org refused the values: correct them in the till, or exempt the custom "
        "permission Tillbridge_Bypass in the rule.",
    ),
    "STRING_TOO_LONG": Meaning(
        "problem", "Lengthen the field in Salesforce, or cut the value with truncate in the field map."
    ),
    "INVALID_EMAIL_ADDRESS": Meaning("problem", "Correct the e-mail address in the till."),
    "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST": Meaning(
        "problem",
        "Add the value to the picklist (`problems fix CAUSE --add-picklist-value` does), lift its "
        "restriction, or translate it with choose in the field map.",
    ),
    "NUMBER_OUTSIDE_VALID_RANGE": Meaning(
        "problem", "Give the field more digits, or correct the number in the till."
    ),
    "JSON_PARSER_ERROR": Meaning(
        "problem",
        "The value does not suit the field's type: compare the field map with the field in Salesforce.",
    ),
    "INVALID_TYPE": Meaning(
        "problem", "The object is not in the org or hidden from us: run tillbridge schema deploy."
    ),
    "INVALID_FIELD": Meaning(
        "problem",
        "The field is not in the org or hidden from us: run tillbridge schema deploy, which also assigns the "
        "permission set, or correct the field map.",
    ),
    "INVALID_FIELD_FOR_INSERT_UPDATE": Meaning(
        "problem",
        "The connected user may not write this field: assign the permission set, or do not map it.",
    ),
    "DUPLICATE_VALUE": Meaning(
        "problem",
        "Another record holds this unique value: find it in Salesforce and merge or correct one of the two.",
    ),
    "DUPLICATES_DETECTED": Meaning(
        "review",
        "A duplicate rule of the org stopped it: choose a record that it found, or exempt our user.",
    ),
    "MALFORMED_ID": Meaning("problem", "A stored Salesforce id is unusable: run tillbridge relink."),
    "INVALID_CROSS_REFERENCE_KEY": Meaning(
        "waiting",
        "The record it points to is gone, or hidden from the connected user; it is looked up again.",
    ),
    "ENTITY_IS_DELETED": Meaning(
        "waiting", "The record was deleted or merged in Salesforce; what became of it is looked up."
    ),
    "NOT_FOUND": Meaning(
        "waiting", "The record is gone, or hidden from the connected user by sharing; it is looked up again."
    ),
    "INSUFFICIENT_ACCESS_OR_READONLY": Meaning(
        "problem",
        "The connected user may not change this record: assign the permission set, or widen sharing.",
    ),
    "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY": Meaning(
        "problem",
        "The connected user may not refer to the parent: assign the permission set, or widen sharing.",
    ),
    "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY": Meaning(
        "problem",
        "A trigger of the org failed; its message says where. Let it pass over users with the custom "
        "permission Tillbridge_Bypass.",
    ),
    "CANNOT_EXECUTE_FLOW_TRIGGER": Meaning(
        "problem",
        "A flow of the org failed. Let it pass over users with the custom permission Tillbridge_Bypass.",
    ),
    "TXN_SECURITY_NO_ACCESS": Meaning(
        "problem", "A transaction security policy of the org blocks the connected user: exempt it."
    ),
    "TXN_SECURITY_RUNTIME_EXCEPTION": Meaning(
        "problem", "A transaction security policy of the org failed: have it repaired."
    ),
    "TXN_SECURITY_METERING_ERROR": Meaning(
        "problem", "A transaction security policy of the org ran too long: have it repaired."
    ),
    "TXN_SECURITY_APEX_ERROR": Meaning(
        "problem", "A transaction security policy of the org failed: have it repaired."
    ),
    "UNABLE_TO_LOCK_ROW": Meaning(
        "transient", "Somebody else was writing the same record; it is tried again."
    ),
    "REQUEST_LIMIT_EXCEEDED": Meaning(
        "halted", "The org's API calls are used up; we go on when the window opens."
    ),
    "STORAGE_LIMIT_EXCEEDED": Meaning("halted", "The org's data storage is full: free some, or buy more."),
    "API_DISABLED_FOR_ORG": Meaning("halted", "The org's edition has no API: it needs one that has."),
    "API_CURRENTLY_DISABLED": Meaning("halted", "The org's API is switched off for the connected user."),
    "INVALID_SESSION_ID": Meaning(
        "halted", "The session ended and could not be renewed: check the connected app's policies."
    ),
    "METHOD_NOT_ALLOWED": Meaning("problem", "This is our mistake: please report it with the message."),
    "UNSUPPORTED_MEDIA_TYPE": Meaning("problem", "This is our mistake: please report it with the message."),
    "QUERY_TIMEOUT": Meaning("transient", "The org took too long to answer; it is tried again."),
    "REQUEST_RUNNING_TOO_LONG": Meaning("transient", "The org took too long; it is tried again."),
    "STANDARD_PRICE_NOT_DEFINED": Meaning(
        "waiting", "The product needs an entry in the standard price book first."
    ),
    "FIELD_INTEGRITY_EXCEPTION": Meaning(
        "problem",
        "The values do not go together, often a state without its country: compare with the org's lists.",
    ),
    "UNKNOWN_EXCEPTION": Meaning("transient", "Salesforce failed inside; it is tried again."),
    "APEX_ERROR": Meaning("transient", "Code of the org failed; it is tried again."),
    "SERVER_UNAVAILABLE": Meaning("transient", "Salesforce was not available; it is tried again."),
    "ALL_OR_NONE_OPERATION_ROLLED_BACK": Meaning(
        "transient", "A neighbour in the same request failed; it is tried again."
    ),
    "BATCH_PROCESSING_HALTED": Meaning(
        "transient", "An earlier part of the same request failed; it is tried again."
    ),
    "PROCESSING_HALTED": Meaning(
        "transient", "An earlier part of the same request failed; it is tried again."
    ),
    "UNPROCESSED": Meaning(
        "transient", "A bulk job ended before it came to this record; it is sent again by itself."
    ),
    "TIMEOUT": Meaning("transient", "A bulk job took too long over this record; it is sent again by itself."),
    "MULTIPLE_CHOICES": Meaning(
        "problem", "Several records share this key: merge them, or empty the key of all but one."
    ),
    "INACTIVE_OWNER_OR_USER": Meaning(
        "problem", "The user who is to own it is inactive: name another owner, or activate the user."
    ),
    "CANNOT_UPDATE_CONVERTED_LEAD": Meaning(
        "problem", "The lead was converted: the contact or account that it became is looked up again."
    ),
    "TOO_MANY_LOCK_FAILURE": Meaning(
        "transient", "Too many records were being written by others; it is tried again."
    ),
}

_LOCKS = re.compile(r"UNABLE_TO_LOCK_ROW|unable to obtain exclusive access", re.IGNORECASE)
_NO_PARENT = re.compile(r"foreign key external id", re.IGNORECASE)
_CONCURRENT = re.compile(r"\bconcurrent", re.IGNORECASE)
# Limits of a whole chunk of rows, which fewer rows at a time may keep.
_CHUNK_LIMITS = re.compile(r"LimitException|too many (SOQL|DML|query)|CPU time limit", re.IGNORECASE)
# Two requests that make one record at once: the second meets the first one's key (fact sheet Salesforce 6.2).
_OWN_KEY = re.compile(r"duplicate value found: \w+_Key__c duplicates", re.IGNORECASE)
_SAME_KEY_TWICE = re.compile(r"duplicate (external id specified|id in list)", re.IGNORECASE)

# What differs from row to row in a message, most specific first.
_VARIABLE = (
    (re.compile(r"[^\s@:'\"]+@[^\s@'\"]+"), "…"),  # addresses
    (re.compile(r"(?i)(external id:?|id specified:?)\s*\S+"), r"\1 …"),
    (re.compile(r"\b[A-Za-z0-9]+-[A-Z]\d[\w-]*"), "…"),  # our keys
    (re.compile(r"\b(?=[A-Za-z]*\d)[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?\b"), "…"),  # record ids
    (re.compile(r"(?<![\w])\d[\d.,:-]*\b"), "…"),  # numbers, dates
    (re.compile(r"(\.\.\.|…)(\s*…)*"), "…"),
)
_OF_ORG_CODE = {"CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "CANNOT_EXECUTE_FLOW_TRIGGER"}
_VALUE_LAST = {
    "INVALID_EMAIL_ADDRESS",
    "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
    "NUMBER_OUTSIDE_VALID_RANGE",
    "STRING_TOO_LONG",
    "MALFORMED_ID",
}
_MESSAGE_COMPARED_MAX = 500


def meaning_of(ack: Refused) -> Meaning:
    """Return what a refusal means; some codes say different things by their message."""
    known = MEANINGS.get(ack.code, UNKNOWN)
    if ack.code == "INVALID_FIELD" and _NO_PARENT.search(ack.message):
        return Meaning("waiting", "The record it points to is not there yet; it follows its parent.")
    if ack.code == "DUPLICATE_VALUE" and _SAME_KEY_TWICE.search(ack.message):
        return Meaning("transient", "The record was twice in one request; it is sent again by itself.")
    if ack.code == "DUPLICATE_VALUE" and _OWN_KEY.search(ack.message):
        return Meaning(
            "transient",
            "Another record holds its key. Should it stay so, find that record and empty its key.",
        )
    if ack.code == "REQUEST_LIMIT_EXCEEDED" and _CONCURRENT.search(ack.message):
        return Meaning("transient", "Too many long requests ran at once; it is tried again.")
    if known.does == "problem" and _LOCKS.search(ack.message):
        return MEANINGS["UNABLE_TO_LOCK_ROW"]
    if ack.code in _OF_ORG_CODE and _CHUNK_LIMITS.search(ack.message):
        return Meaning(
            "transient", "Code of the org ran into a limit; it is tried again with fewer records at once."
        )
    return known


def class_of(ack: Refused) -> RowClass:
    """Say what to do with the row: try again, let it wait, ask a person, show it, or stop everything."""
    return meaning_of(ack).does


def advice_for(ack: Refused) -> str:
    """Return the one line that says what a person can change."""
    return meaning_of(ack).advice


def cause_of(object_name: str, ack: Refused) -> str:
    """Return the fingerprint that refusals of one cause share: fixing the cause releases them all."""
    message = ack.message[:_MESSAGE_COMPARED_MAX]
    if ack.code in _VALUE_LAST and ":" in message:
        message = message.rsplit(":", 1)[0]
    for pattern, instead in _VARIABLE:
        message = pattern.sub(instead, message)
    fields = ",".join(sorted(ack.fields))
    # The last part alone is what people type: it tells causes of two objects apart by itself.
    named = f"{ack.code}:{object_name}:{fields}"
    digest = blake2b(f"{named}:{' '.join(message.split())}".encode(), digest_size=4).hexdigest()
    return f"{named}:{digest}"
