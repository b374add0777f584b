"""Where an alert begins and ends. Both verbs may be called at any time, by anybody, as often as they like: only a
change leaves a trace. They write rows and send nothing, so no job waits for a route."""

from collections.abc import Iterable
from contextlib import suppress

from django.db import IntegrityError, transaction
from django.utils import timezone

from controlpanel.access import audit
from controlpanel.access.models import User
from servers.alerts import grouping
from servers.alerts.models import Alert, Trouble
from servers.models import Server


def raise_alert(
    kind: str,
    subject,
    *,
    server: Server | None = None,
    cause: str = "",
    text: str,
    hint: str = "",
    url: str = "",
    provider: str = "",
    failed_tests: int | None = None,
) -> None:
    """`subject` (an id) has trouble of this kind. Idempotent while the cause stays the same; another cause moves the
    trouble to that cause's alert.

    cause: a slug; troubles of one kind, cause and provider are one alert. text: one sentence that is true of every
    server of the alert, so without the server's name. hint: what to do. url: a path of the panel where it is done.
    provider: the name of a shared SMTP provider, when it is in `text`: it is hidden from people who may not know it.
    failed_tests: told only over routes that hear of failed test emails from this many on.
    """
    names = (server.name, server.address) if server else ()
    key = grouping.key(kind, cause, provider, text, names)
    subject = str(subject)[:64]
    if _open(kind, subject).filter(alert__key=key).exists():
        return
    now = timezone.now()
    told = {"cause": cause[:200], "provider": provider[:80], "hint": hint, "url": url[:300], "opened_at": now}
    told |= {"text": grouping.nameless(text, names), "failed_tests": failed_tests}
    try:
        with transaction.atomic():
            alert = _alert(kind, key, told)
            _close(_open(kind, subject).exclude(alert=alert))
            Trouble.objects.get_or_create(
                kind=kind,
                subject=subject,
                closed_at=None,
                defaults={"alert": alert, "server": server, "text": text, "opened_at": now},
            )
    except IntegrityError:
        return  # somebody else raised it in this moment


def recovered(kind: str, subject) -> None:
    """The trouble is over; with the last one its alert closes. One reading when there was none."""
    recovered_from([kind], subject)


def recovered_from(kinds: Iterable[str], subject) -> None:
    """The same for several kinds at once."""
    troubles = Trouble.objects.open().filter(kind__in=list(kinds), subject=str(subject)[:64])
    if troubles.exists():
        with transaction.atomic():
            _close(troubles)


@transaction.atomic
def close(alert: Alert, *, by: User | str | None) -> bool:
    """A person has seen to it. False when it was closed already. It opens again when the trouble is seen anew."""
    if not Alert.objects.open().select_for_update().filter(pk=alert.pk).exists():
        return False
    _close(alert.troubles.open())
    Alert.objects.open().filter(pk=alert.pk).update(closed_at=timezone.now())
    audit.record(by, "closed", ("alert", alert.pk, alert.text))
    return True


def tidy() -> None:
    """Ends what no longer concerns anybody: troubles of archived servers, alerts whose servers were deleted."""
    gone = Trouble.objects.open().filter(server__archived_at__isnull=False)
    empty = Alert.objects.open().exclude(pk__in=Trouble.objects.open().order_by().values("alert"))
    if not gone.exists() and not empty.exists():
        return
    with transaction.atomic():
        _close(gone)
        empty.update(closed_at=timezone.now())


def _open(kind: str, subject: str):
    return Trouble.objects.open().filter(kind=kind, subject=subject)


def _alert(kind: str, key: str, told: dict) -> Alert:
    """The open alert of this cause, locked: whoever closes its last trouble waits, or has closed it before."""
    mine = Alert.objects.open().select_for_update().filter(kind=kind, key=key)
    while (found := mine.first()) is None:
        # Somebody else may open it in this moment, and close it again before it is found.
        with suppress(IntegrityError), transaction.atomic():
            return Alert.objects.create(kind=kind, key=key, **told)
    return found


def _close(troubles) -> None:
    now = timezone.now()
    alerts = sorted(set(troubles.order_by().values_list("alert", flat=True)))
    locked = list(Alert.objects.select_for_update().filter(pk__in=alerts).order_by("pk").values_list("pk", flat=True))
    troubles.order_by().update(closed_at=now)
    left = Trouble.objects.open().filter(alert__in=locked).order_by().values("alert")
    Alert.objects.open().filter(pk__in=locked).exclude(pk__in=left).update(closed_at=now)
