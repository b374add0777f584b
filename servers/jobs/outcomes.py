"""How things end: values an action gives back, and the exceptions that end a run."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Conclusion:
    """How a run ended. outcome: one true sentence. cause: slug for grouping failures. hint: the next move."""

    succeeded: bool
    outcome: str
    changed: bool = False
    cause: str = ""
    hint: str = ""
    result: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Applied:
    """What the journal says. failed_step: slug or "". rolled_back: every undo of the failed plan ran clean.
    finished: False when the run on the server was cut short (a reboot, a kill) and nobody is working there any more."""

    changed: bool
    failed_step: str = ""
    failed_title: str = ""
    tail: str = ""  # last lines of the failed step, masked
    rolled_back: bool = False
    finished: bool = True


class Cancelled(Exception):
    """Somebody asked this job to stop, and it stopped between two steps."""


class Revoked(Cancelled):
    """Whoever asked for this job may no longer do so on this server."""


class LostContact(Exception):
    """The server stays away while a script handed to it may still be at work. The job is looked at again later."""

    def __init__(self, message: str = "", *, cause: str = "lost-contact", hint: str = ""):
        super().__init__(message or self.__doc__.splitlines()[0])
        self.cause = cause
        self.hint = hint
