"""The switch that keeps new work from beginning, for the whole panel."""

from django.db import transaction

from controlpanel.access import audit
from controlpanel.access.models import User
from servers.jobs import bell, machine
from servers.jobs.models import Pause

_PANEL = ("panel", "", audit.PANEL)


def current() -> Pause | None:
    return Pause.objects.select_related("by").first()


def pause(*, by: User | str | None, reason: str = "") -> Pause:
    """From now on no job begins, checks and previews asked for by a person included. Jobs at work go on to their end,
    and a server that was lost in the middle of one is looked at again. Pausing twice leaves the first pause."""
    with transaction.atomic():
        made, new = Pause.objects.get_or_create(
            pk=1, defaults={"by": by if isinstance(by, User) else None, "reason": reason[:200]}
        )
        if new:
            audit.record(by, "paused new jobs", _PANEL, reason=reason[:200])
    return made


def resume(*, by: User | str | None) -> bool:
    """What waits may begin. False: there was no pause."""
    with transaction.atomic():
        ended, _ = Pause.objects.all().delete()
        if ended:
            audit.record(by, "resumed jobs", _PANEL)
            transaction.on_commit(_ring)
    return bool(ended)


def _ring() -> None:
    bell.ring(list(machine.turn().values_list("pk", flat=True)[: machine.WAKE]))
