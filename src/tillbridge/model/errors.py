"""What can go wrong with a whole request or run, sorted by what the reader can do.

What happens to one row of a batch is no exception but an ack (`model.acks`).
An error carries facts; the command line and the console word the advice.
"""

from __future__ import annotations


class SyncError(Exception):
    """Base of all errors that people may see. `str(error)` is one sentence."""


class Transient(SyncError):
    """The remote, or the way to it, failed for now. Reads and replay-safe writes may be repeated.

    `retry_after_seconds` is the remote's wish, if it named one. `outcome_unknown`
    is true when the request may have been carried out although no answer came.
    """

    def __init__(
        self, message: str, *, retry_after_seconds: float | None = None, outcome_unknown: bool = False
    ) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds
        self.outcome_unknown = outcome_unknown


class LimitReached(SyncError):
    """A quota is used up. Nothing is wrong; go on when the window opens.

    `resume_after_seconds` is the earliest sensible moment, if known.
    """

    def __init__(self, message: str, *, quota: str, resume_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.quota = quota
        self.resume_after_seconds = resume_after_seconds


class BadRequest(SyncError):
    """The remote understood a whole request and refused it: our mapping, the org's rules, or our bug.

    `code` is the remote's own code (or "HTTP 400"), `fields` what it pointed at.
    """

    def __init__(self, message: str, *, code: str, status: int, fields: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.fields = fields


class NotFound(BadRequest):
    """That very record is not there (or is hidden from us). Never used for any other failure."""


class CredentialsRefused(SyncError):
    """The remote does not accept who we say we are. Only a person can help: settings, app policy, user."""


class PermissionMissing(SyncError):
    """We are let in, but not to this: a scope, a field, an object, the API as such."""


class ConfigurationInvalid(SyncError):
    """The configuration cannot work. `mistakes` holds one (path, sentence) for each, all at once."""

    def __init__(self, mistakes: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{path}: {text}" if path else text for path, text in mistakes))
        self.mistakes = mistakes


class Halted(SyncError):
    """The plan, or what we are connected to, looks wrong. Nothing was written; a person decides."""


class Busy(Halted):
    """Somebody else holds what we need (a run, the state file), or a disk is full: try again later."""


class GiveWay(SyncError):
    """Nothing is wrong: this slice of work ends early because somebody else is to have a turn."""


class Fenced(SyncError):
    """Another worker has taken over what this one was at: it may write no more."""


def outcome_of(error: BaseException) -> str:
    """Return the word by which a run that this ended is noted."""
    match error:
        case LimitReached():
            return "limit"
        case Transient():
            return "remote_down"
        case SyncError():
            return "halted"
    return "broken"
